from threadhub.agents.models.agent import Agent, AgentTool, DoubleTexting
from threadhub.agents.models.agent_version import AgentVersion
from threadhub.agents.models.budget import Budget
from threadhub.agents.models.daily_usage import DailyUsage
from threadhub.agents.models.tool import Tool

__all__ = ["Agent", "AgentTool", "AgentVersion", "Budget", "DailyUsage", "DoubleTexting", "Tool"]
