"""PEER_CALLS requests with PEER_WINDOW under way; every answer is looked at. Last line: calls per second, wrong
ones, the first of them."""
import asyncio
import itertools
import json
import os
import time

import aio_pika

CALLS, WINDOW, ROWS = (int(os.environ[name]) for name in ("PEER_CALLS", "PEER_WINDOW", "PEER_ROWS"))


async def main():
    connection = await aio_pika.connect(os.environ["AMQP_URL"])
    channel = await connection.channel(publisher_confirms=False)  # as BEDS for reads
    replies = await channel.declare_queue(exclusive=True)
    waiting = {}

    async def take(message):
        waiting.pop(message.correlation_id).set_result(message.body)

    await replies.consume(take, no_ack=True)
    numbers = itertools.count()

    async def call(row):
        number = str(next(numbers))
        future = waiting[number] = asyncio.get_running_loop().create_future()
        await channel.default_exchange.publish(
            aio_pika.Message(json.dumps({"id": row}).encode(), correlation_id=number, reply_to=replies.name),
            routing_key=os.environ["PEER_NAMESPACE"] + "python")
        return json.loads(await future)

    wrong = []
    sent = itertools.count()

    async def caller():
        while (number := next(sent)) < CALLS:
            row = 1 + number * 7919 % ROWS
            got = await call(row)
            if got != {"id": row, "email": f"u{row}@example.org", "status": 1, "balance": 100,
                       "created": "2026-01-31T12:00:00Z"}:
                wrong.append(got)

    for _ in range(8):  # warm
        await asyncio.gather(*(call(1) for _ in range(64)))
    begin = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(WINDOW)))
    seconds = time.perf_counter() - begin
    print(f"{CALLS / seconds:.1f} {len(wrong)} {wrong[0] if wrong else ''}", flush=True)
    await connection.close()


asyncio.run(main())
