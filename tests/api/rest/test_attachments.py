"""`…/threads/{thread_id}/attachments/{file_id}`."""

from typing import Any

import pytest

from tests.api.rest.conftest import PDF, PNG, TXT, new_thread, open_session, posted, same_404
from tests.conftest import Api, Tenant
from threadhub.lib import ids


@pytest.mark.parametrize(
    ("url", "content_type", "content"),
    [
        (PNG, "image/png", b"\x89PNG\r\n\x1a\n"),
        (PDF, "application/pdf", b"%PDF-1.4\n"),
        (TXT, "text/plain", b"plain words"),
    ],
)
def test_it_answers_the_file_as_it_came_and_nothing_that_a_browser_would_run(
    api: Api, thread: dict[str, Any], url: str, content_type: str, content: bytes
) -> None:
    (document,) = posted(api, thread, role="user", documents=[{"url": url, "filename": 'é "q".x'}])["documents"]
    response = api.get(document["url"])
    assert (response.status_code, response.content) == (200, content)
    assert response["Content-Type"] == content_type
    assert response["Content-Disposition"].startswith("attachment; filename*=utf-8''%C3%A9%20%22q%22.x")
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert response["Cache-Control"] == "private, no-cache"
    assert int(response["Content-Length"]) == document["size"] == len(content)
    assert api.head(document["url"]).content == b""


def test_a_file_that_one_does_not_see_was_never_there(
    api: Api, tenant: Tenant, thread: dict[str, Any], mallorys: Api, other_tenant: Tenant
) -> None:
    others = []
    for owner, workspace in ((api, tenant), (mallorys, other_tenant)):
        other = new_thread(owner, workspace)
        others.append(posted(owner, other, role="user", documents=[{"url": PNG}])["documents"][0])
    texts = [*(document["id"] for document in others), ids.encode("file", ids.new()), "file_1", "..%2Fx"]
    same_404(*(api.get(f"/threads/{thread['id']}/attachments/{text}") for text in texts[:4]))
    assert mallorys.get(others[0]["url"]).status_code == 404
    assert api.get(others[1]["url"]).status_code == 404
    assert api.get(f"/threads/{thread['id']}/attachments/{texts[4]}").status_code == 404


def test_in_a_session_it_is_linked_where_the_chat_token_opens_it(api: Api, tenant: Tenant) -> None:
    session = open_session(api, tenant)
    posted(api, {"id": session["thread_id"]}, role="user", documents=[{"url": PNG}])
    visitor = Api(session["chat_token"])
    (thread,) = visitor.get(f"/chat_sessions/{session['id']}/threads").json()
    url = thread["messages"][0]["documents"][0]["url"]
    assert url.startswith(f"/chat_sessions/{session['id']}/threads/{thread['id']}/attachments/file_")
    assert visitor.get(url).content == b"\x89PNG\r\n\x1a\n"
    assert visitor.get(url.removeprefix(f"/chat_sessions/{session['id']}")).status_code == 403
