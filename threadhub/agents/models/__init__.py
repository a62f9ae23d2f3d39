from threadhub.agents.models.agent import Agent, AgentTool, DoubleTexting
from threadhub.agents.models.tool import Tool

__all__ = ["Agent", "AgentTool", "DoubleTexting", "Tool"]
