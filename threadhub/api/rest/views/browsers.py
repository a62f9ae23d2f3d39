"""What web pages need of an agent: `/agents/{agent_id}/public_key` and `/agents/{agent_id}/identity_secret`."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from threadhub.agents import access, browsers
from threadhub.agents.models import Agent
from threadhub.api.rest.inputs.threads import NothingSent
from threadhub.api.rest.representations.agents import AgentRepresentation, IdentitySecret
from threadhub.api.rest.views.base import InThread
from threadhub.workspaces.permissions import Permission


class OfAgent(InThread):
    permissions = {"POST": Permission.AGENT_WRITE, "DELETE": Permission.AGENT_WRITE}

    def find(self) -> Agent:
        return access.get(actor=self.actor, agent_id=self.agent_id)


class PublicKeys(OfAgent):
    @extend_schema(request=NothingSent, responses={200: AgentRepresentation})
    def renew(self, request: Request, **path: Any) -> Response:
        """Makes a public key; the one before stops working at once."""
        NothingSent.parse(request)
        agent = browsers.new_public_key(actor=self.actor, agent=self.find(), now=self.now)
        return Response(AgentRepresentation(agent, context={"actor": self.actor}).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, **path: Any) -> Response:
        """No page opens a chat session any more."""
        browsers.withdraw_public_key(actor=self.actor, agent=self.find(), now=self.now)
        return Response(status=204)


class IdentitySecrets(OfAgent):
    @extend_schema(request=NothingSent, responses={200: IdentitySecret})
    def renew(self, request: Request, **path: Any) -> Response:
        """Makes a secret for proofs of identity, shown only now; the one before is taken for 24 hours more."""
        NothingSent.parse(request)
        secret, agent = browsers.new_identity_secret(actor=self.actor, agent=self.find(), now=self.now)
        data = {"identity_secret": secret, "previous_until": agent.previous_identity_until}
        return Response(IdentitySecret(data).data, headers={"Cache-Control": "no-store"})

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, **path: Any) -> Response:
        """No proof of identity is taken any more, from now on."""
        browsers.withdraw_identity_secret(actor=self.actor, agent=self.find(), now=self.now)
        return Response(status=204)
