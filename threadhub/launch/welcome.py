"""What `up` and `create_workspace` print: where to go and with what."""

import json
from dataclasses import asdict, dataclass

JSON = "-H 'Content-Type: application/json'"  # curl would call it a form


@dataclass(frozen=True, slots=True)
class Welcome:
    """A workspace that can be used, and where. The admin's login is unknown where `up` never made one."""

    url: str
    workspace_id: str
    agent_id: str
    api_key: str
    username: str
    password: str
    admin_username: str | None
    admin_password: str | None
    provider: str
    model: str
    public_key: str | None = None  # of the agent, where its chat page is open

    @property
    def admin_url(self) -> str:
        return f"{self.url}/admin/"

    @property
    def docs_url(self) -> str:
        return f"{self.url}/docs"

    @property
    def chat_url(self) -> str | None:
        return f"{self.url}/chat/{self.public_key}" if self.public_key else None

    def as_json(self) -> str:
        """One line."""
        own = asdict(self)
        del own["public_key"]
        pages = {"admin_url": self.admin_url, "docs_url": self.docs_url, "chat_url": self.chat_url}
        return json.dumps({"url": own.pop("url"), **pages, **own}, ensure_ascii=False)

    def as_text(self) -> str:
        """For a person, with one line to copy per dialect."""
        rows = {
            "API": self.url,
            "docs": self.docs_url,
            "chat page": self.chat_url,
            "admin": self.admin_url,
            "admin login": f"{self.admin_username} / {self.admin_password}" if self.admin_username else "",
            "workspace": self.workspace_id,
            "agent": self.agent_id,
            "API key": self.api_key,
            "end user": f"{self.username} / {self.password}",
        }
        table = "\n".join(f"  {name:<12} {value}" for name, value in rows.items() if value)
        return f"{table}\n\n{self._rest_sample()}\n\n{self._ai_sample()}"

    def _rest_sample(self) -> str:
        agent = f"{self.url}/agents/{self.agent_id}"
        header = f"-H 'Authorization: Bearer {self.api_key}' {JSON}"
        find_id = "python3 -c 'import json, sys; print(json.load(sys.stdin)[\"id\"])'"
        return (
            "Make a thread and ask its agent, the answer as it is written (dialect `rest`):\n\n"
            f"  THREAD=$(curl -s -X POST {agent}/threads {header} -d '{{}}' | {find_id}) &&"
            f" curl -sN {agent}/threads/$THREAD/invoke {header} -H 'Accept: text/event-stream'"
            """ -d '{"prompt": "Hello!"}'"""
        )

    def _ai_sample(self) -> str:
        body = '{"messages": [{"role": "user", "content": "Hello!"}]}'
        header = f"-H 'x-api-key: {self.api_key}' {JSON}"
        return (
            "Ask without a thread (dialect `ai`):\n\n"
            f"  curl -s {self.url}/api/ai/{self.agent_id}/chat-completion {header} -d '{body}'"
        )
