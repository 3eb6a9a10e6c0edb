#!/usr/bin/python3
"""A client of BEDS in one file, with a stock AMQP library (pika; Debian: python3-pika).

    from beds_client import Client, Refused

    with Client("amqp://app:secret@localhost/", queue_tag="prod_") as beds:
        country = beds.call({"template": "countries", "op": "fetch", "key": "MX"})["rows"][0]
        beds.call({"template": "accounts", "op": "call", "name": "transfer",
                   "args": {"from": 1, "to": 2, "amount": Decimal("10.00")}})
        for result in beds.call_many([{"template": "countries", "op": "count"},
                                      {"template": "languages", "op": "find", "limit": 5}]):
            print(result["status"])

From a shell (AMQP_URL and, if the node has one, BEDS_QUEUE_TAG in the environment; ends with 0 done,
1 refused, 2 usage, 3 no answer or no RabbitMQ):

    beds_client.py '{"template": "countries", "op": "fetch", "key": "MX"}'

What it does for its caller, and what any client in any language has to do:

- one exclusive queue for replies; each reply finds its request by `correlation_id`, late ones are dropped;
- publisher confirms and `mandatory`: a request is sent when RabbitMQ has confirmed it and not returned it;
- every message carries a `message_id`. After a timeout or a broken connection the outcome of a write is
  not known: send the same operations again with the same `message_id`, and they happen once;
- the header `beds-deadline` ends work that nobody waits for any more;
- the routing key `{template}.{class}`: the class follows from the operation, that of a `call` from the
  catalog (`describe`). MISROUTED means: nothing was done, ask the catalog again;
- a reply's unknown members are ignored; an unknown code counts by its `effect` and `retryable`.

Not for several threads: one Client each.
"""
import base64
import datetime
import decimal
import json
import os
import sys
import time
import urllib.parse
import uuid

import pika
import pika.exceptions

CLASSES = ("read", "write", "bulk")
CLASS_OF = {"fetch": "read", "find": "read", "count": "read", "exists": "read", "describe": "read",
            "insert": "write", "update": "write", "delete": "write"}


class Refused(Exception):
    """BEDS's answer to an operation is an error; `result` holds it.

    `effect` "none": nothing was changed. "unknown": send the same operation again with the same id.
    `retryable`: it may succeed later, unchanged.
    """

    def __init__(self, result):
        self.result = result
        self.code = result.get("code", "INTERNAL")
        self.effect = result.get("effect", "unknown")
        self.retryable = result.get("retryable") is True
        super().__init__(" ".join(filter(None, (
            self.code, result.get("reason"), result.get("field"), result.get("detail")))))


class NoAnswer(Exception):
    """No reply within the time. What became of a write is not known; `message_id` asks again."""

    def __init__(self, message_id, why):
        self.message_id = message_id
        super().__init__(f"{why} (message_id {message_id})")


class NotSent(Exception):
    """RabbitMQ did not take the request: its queue is full, or there is no BEDS. Nothing was done."""


class Client:
    """`timeout`: seconds that a call may take, unless it says otherwise.

    A RabbitMQ that stands still without closing its connections is noticed by AMQP's heartbeat, and until
    then pika waits for its confirm, longer than `timeout` if need be: 20 seconds with `?heartbeat=5` in `url`.
    Raises pika.exceptions.AMQPConnectionError when it cannot connect.
    """

    def __init__(self, url="amqp://localhost/", queue_tag="", timeout=5.0):
        self._parameters = pika.URLParameters(url)
        self._user = self._parameters.credentials.username
        self._tag = queue_tag
        self._timeout = timeout
        self._connection = None
        self._waiting = {}   # correlation_id: reply, None until it is there
        self._classes = {}   # (template, call): class, from the catalog
        self._connect()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self._connection is not None and self._connection.is_open:
            self._connection.close()

    def call(self, operation, timeout=None, message_id=None, int64_as_string=False):
        """One operation; returns its result. Raises Refused, NoAnswer or NotSent."""
        result = self._send({"v": 1, **operation}, [operation], timeout, message_id, int64_as_string)
        if result.get("status") != "ok":
            raise Refused(result)
        return result

    def call_many(self, operations, mode="each", timeout=None, message_id=None, int64_as_string=False):
        """Many operations in one message, on templates of one group; returns one result for each.

        `mode`: "each" (independent), "sequence" (stop at the first failure), "atomic" (all or nothing).
        Raises Refused when the message as a whole is refused; a failed operation is a result.
        """
        operations = list(operations)
        body = {"v": 1, "mode": mode, "ops": operations}
        reply = self._send(body, operations, timeout, message_id, int64_as_string)
        if "results" not in reply:
            raise Refused(reply)
        return reply["results"]

    def exchange(self, routing_key, body, timeout=None, **properties):
        """Bytes out, bytes back: sends `body` as it is and waits for its reply."""
        deadline = time.monotonic() + (self._timeout if timeout is None else timeout)
        correlation = str(uuid.uuid4())
        properties = {"content_type": "application/json", "delivery_mode": 2, "user_id": self._user,
                      **properties, "correlation_id": correlation}
        self._waiting[correlation] = None
        try:
            sent = False
            while True:
                try:
                    self._connect()
                    if not sent:  # on a new connection once more: the message_id makes that safe
                        properties["reply_to"] = self._replies
                        self._publish(routing_key, body, properties)
                        sent = True
                    left = deadline - time.monotonic()
                    if self._waiting[correlation] is None and left > 0:
                        self._connection.process_data_events(time_limit=left)
                    if self._waiting[correlation] is not None:
                        return self._waiting[correlation]
                except pika.exceptions.AMQPConnectionError as lost:
                    sent = False
                    if time.monotonic() + 0.1 > deadline:
                        raise NoAnswer(properties.get("message_id"), f"connection lost: {lost!r}") from lost
                    time.sleep(0.1)
                if time.monotonic() >= deadline:
                    raise NoAnswer(properties.get("message_id"), "no reply in time")
        finally:
            del self._waiting[correlation]

    # ---- inside --------------------------------------------------------------------------------

    def _connect(self):
        if self._connection is not None and self._connection.is_open:
            if self._channel.is_open:
                return
            self._connection.close()
        self._connection = pika.BlockingConnection(self._parameters)
        self._channel = self._connection.channel()
        self._channel.confirm_delivery()
        self._replies = f"{self._tag}reply.{self._user}.{uuid.uuid4()}"
        self._channel.queue_declare(self._replies, exclusive=True)
        self._channel.basic_consume(self._replies, self._on_reply, auto_ack=True)

    def _on_reply(self, _channel, _method, properties, body):
        if properties.correlation_id in self._waiting:
            self._waiting[properties.correlation_id] = body

    def _publish(self, routing_key, body, properties):
        try:
            self._channel.basic_publish(self._tag + "beds.events", routing_key, body,
                                        pika.BasicProperties(**properties), mandatory=True)
        except pika.exceptions.UnroutableError as returned:
            raise NotSent(f"no queue takes {routing_key!r}") from returned
        except pika.exceptions.NackError as refused:
            raise NotSent(f"the queue of {routing_key!r} is full") from refused
        except pika.exceptions.ChannelClosedByBroker as closed:
            raise NotSent(closed.reply_text) from closed

    def _send(self, message, operations, timeout, message_id, int64_as_string):
        timeout = self._timeout if timeout is None else timeout
        deadline = time.time() + timeout
        headers = {"beds-deadline": int(deadline * 1000)}
        if int64_as_string:
            headers["beds-int64"] = "string"
        message_id = message_id or str(uuid.uuid4())
        body = json.dumps(message, default=_plain, allow_nan=False, ensure_ascii=False).encode()
        for attempt in range(2):
            reply = json.loads(
                self.exchange(self._routing_key(operations, deadline), body, deadline - time.time(),
                              message_id=message_id, headers=headers),
                parse_float=decimal.Decimal)
            results = reply.get("results", [reply])
            if attempt == 0 and all(one.get("code") == "MISROUTED" for one in results):
                self._classes.clear()  # moved since; nothing was done
                continue
            return reply

    def _routing_key(self, operations, deadline):
        if all(one.get("op") == "describe" for one in operations):
            return "catalog.read"
        classes = [self._class_of(one, deadline) for one in operations]
        return f"{operations[0].get('template')}.{max(classes, key=CLASSES.index)}"

    def _class_of(self, operation, deadline):
        if operation.get("op") != "call":
            return CLASS_OF.get(operation.get("op"), "read")
        name = (operation.get("template"), operation.get("name"))
        if name not in self._classes:
            described = self.call({"template": name[0], "op": "describe"}, deadline - time.time())
            for template in described["templates"]:
                for one in template["operations"]:
                    if one["op"] == "call":
                        self._classes[template["name"], one["name"]] = one["class"]
        return self._classes.get(name, "read")  # a name that is not there: BEDS says so


def _plain(value):
    """What JSON has no type for, in the form that the protocol has for it."""
    if isinstance(value, (decimal.Decimal, uuid.UUID)):
        return str(value)
    if isinstance(value, datetime.datetime):
        if value.tzinfo is None:
            raise TypeError("a datetime without a time zone is ambiguous")
        return value.astimezone(datetime.timezone.utc).isoformat().replace("+00:00", "Z")
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    raise TypeError(f"{type(value).__name__} has no form in the protocol")


def main(arguments):
    if len(arguments) != 2 or arguments[1] in ("-h", "--help"):
        print(__doc__)
        return 0 if len(arguments) == 2 else 2
    try:
        operation = json.loads(arguments[1])
        json.dumps(operation, allow_nan=False)
        if not isinstance(operation, dict):
            raise ValueError("an operation is an object")
    except ValueError as wrong:
        print(f"beds_client: not an operation in JSON: {wrong}", file=sys.stderr)
        return 2
    url = os.environ.get("AMQP_URL", "amqp://localhost/")
    try:
        pika.URLParameters(url)
    except (LookupError, TypeError, ValueError):
        print("beds_client: AMQP_URL is not amqp://USER:PASSWORD@HOST:PORT/VHOST", file=sys.stderr)
        return 2
    try:
        with Client(url, os.environ.get("BEDS_QUEUE_TAG", "")) as beds:
            reply = beds.call(operation)
    except Refused as refused:
        reply = refused.result
    except (NoAnswer, NotSent) as failed:
        print(f"beds_client: {failed}", file=sys.stderr)
        return 3
    except (pika.exceptions.AMQPError, OSError) as failed:
        parts = urllib.parse.urlsplit(url)  # without the password
        print(f"beds_client: cannot use RabbitMQ at {parts.hostname}:{parts.port or 5672} of AMQP_URL: "
              f"{failed!r}", file=sys.stderr)
        return 3
    print(json.dumps(reply, default=_plain, ensure_ascii=False, indent=2))
    return 0 if reply["status"] == "ok" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv))
