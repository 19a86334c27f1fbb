"""What answers before Serve's request path: many short calls, with their own shedding, figures and drain."""

from hub.front.door import Door, FrontDoor, open_front
from hub.front.lane import Lane
from hub.front.order_reads import OrderReads
from hub.front.reader import OrderReader
from hub.front.together import TogetherProtocol

__all__ = ["Door", "FrontDoor", "Lane", "OrderReader", "OrderReads", "TogetherProtocol", "open_front"]
