from threadhub.agents.models.agent import Agent, AgentTool
from threadhub.agents.models.tool import Tool

__all__ = ["Agent", "AgentTool", "Tool"]
