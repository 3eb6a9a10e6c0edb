# /usr/bin/python3 examples/quickstart/ask.py   (python3-pika; after `. examples/quickstart/.run/env`)
import json, os, pika, uuid
connection = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"]))
channel = connection.channel()
replies = channel.queue_declare(queue="", exclusive=True).method.queue
channel.basic_publish(
    os.environ["BEDS_QUEUE_TAG"] + "beds.events", "countries.read",
    json.dumps({"v": 1, "template": "countries", "op": "fetch", "key": "MX"}),
    pika.BasicProperties(content_type="application/json", reply_to=replies, message_id=str(uuid.uuid4())),
    mandatory=True)
_, _, body = next(channel.consume(replies, auto_ack=True, inactivity_timeout=5))
print(body.decode() if body else "no answer within 5 s")
connection.close()
