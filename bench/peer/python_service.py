"""What people write by hand: a queue, JSON in, a SELECT, JSON out. Settings from main.cpp by environment."""
import asyncio
import json
import os

import aio_pika
import aiomysql


async def main():
    pool = await aiomysql.create_pool(
        host=os.environ["PEER_DB_HOST"], port=int(os.environ["PEER_DB_PORT"]), user=os.environ["PEER_DB_USER"],
        password=os.environ["PEER_DB_PASSWORD"], db=os.environ["PEER_DB_NAME"], minsize=8, maxsize=8, autocommit=True)
    connection = await aio_pika.connect(os.environ["AMQP_URL"])
    channel = await connection.channel(publisher_confirms=False)  # as BEDS for reads
    await channel.set_qos(prefetch_count=500)
    queue = await channel.declare_queue(os.environ["PEER_NAMESPACE"] + "python", auto_delete=True)

    async def answer(message):
        async with message.process():
            asked = json.loads(message.body)
            async with pool.acquire() as session, session.cursor(aiomysql.DictCursor) as cursor:
                await cursor.execute(
                    "SELECT id, email, status, balance, created FROM bench_users WHERE id = %s", (asked["id"],))
                row = await cursor.fetchone()
            row["created"] = row["created"].isoformat() + "Z"
            await channel.default_exchange.publish(
                aio_pika.Message(json.dumps(row).encode(), correlation_id=message.correlation_id),
                routing_key=message.reply_to)

    await queue.consume(answer)
    print("ready", flush=True)
    await asyncio.Future()


asyncio.run(main())
