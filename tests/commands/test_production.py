"""THREADHUB_ENV=production: what it demands, and that Django's own check finds nothing."""

import json
from pathlib import Path

import pytest

from tests.commands.ups import manage

KEY = "".join(chr(ord("a") + number % 26) + str(number) for number in range(40))


def production(data: Path, *words: str, **variables: str) -> "tuple[int, str, str]":
    environment = {"THREADHUB_ENV": "production", "SECRET_KEY": KEY, "ALLOWED_HOSTS": "hub.example.org", **variables}
    done = manage(*words, environment={**environment, "THREADHUB_DATA_DIR": str(data)})
    return done.returncode, done.stdout, done.stderr


def test_the_deployment_check_is_clean(tmp_path: Path) -> None:
    status, out, err = production(tmp_path, "check", "--deploy", "--fail-level", "WARNING")
    assert (status, out.strip()) == (0, "System check identified no issues (2 silenced)."), err


@pytest.mark.parametrize("key", ["", "short"])
def test_a_secret_key_is_demanded(key: str, tmp_path: Path) -> None:
    status, _, err = production(tmp_path, "check", SECRET_KEY=key)
    assert status == 1
    assert "SECRET_KEY must be set in production" in err
    assert not (tmp_path / "secret_key").exists()


def test_a_proxys_word_on_tls_needs_a_proxy_to_trust(tmp_path: Path) -> None:
    status, _, err = production(tmp_path, "check", SECURE_PROXY_SSL_HEADER="X-Forwarded-Proto")
    assert status == 1
    assert "SECURE_PROXY_SSL_HEADER needs TRUSTED_PROXIES" in err


def test_an_unknown_environment_is_refused(tmp_path: Path) -> None:
    status, _, err = production(tmp_path, "check", THREADHUB_ENV="prod")
    assert status == 1
    assert "THREADHUB_ENV must be production or development, not 'prod'." in err


def test_doctor_names_each_weakness(tmp_path: Path) -> None:
    weak = {
        "DEBUG": "true",
        "ALLOWED_HOSTS": "*",
        "SECURE_SSL_REDIRECT": "false",
        "CORS_ALLOWED_ORIGINS": "http://shop.example.org",
        "RATE_LIMIT_SIGN_IN": "0",
        "SECRET_KEY_FALLBACKS": "old",
        "DATABASE_URL": "postgres://u@127.0.0.1:1/x",
    }
    status, out, err = production(tmp_path, "doctor", "--json", **weak)
    assert status == 1, err
    wrong = {check["name"] for check in json.loads(out)["checks"] if not check["ok"]}
    assert wrong == {
        "DEBUG", "ALLOWED_HOSTS", "TLS", "CORS_ALLOWED_ORIGINS", "limits", "SECRET_KEY_FALLBACKS", "database",
    }  # fmt: skip
