"""A receiver of webhooks on a real socket, which answers what a test wants."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Receiver:
    """What came, and what is answered: the statuses in turn, the last one for ever; None = no answer at all."""

    port: int = 0
    answers: list[int | None] = field(default_factory=lambda: [204])
    headers: str = ""
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?x=1"

    async def until(self, count: int) -> None:
        """Wait until so many requests have come."""
        async with asyncio.timeout(30), self.changed:
            await self.changed.wait_for(lambda: len(self.got) >= count)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = {"": head[0]}
                for line in filter(None, head[1:]):
                    name, _, value = line.partition(": ")
                    headers[name.lower()] = value
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                async with self.changed:
                    self.got.append((headers, body))
                    self.changed.notify_all()
                if answer is None:
                    await reader.read()
                    break
                writer.write(f"HTTP/1.1 {answer} x\r\nContent-Length: 0\r\n{self.headers}\r\n".encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
