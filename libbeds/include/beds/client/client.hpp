#pragma once

#include <beds/client/reply.hpp>
#include <beds/client/request.hpp>
#include <beds/core/deadline.hpp>

#include <chrono>
#include <functional>
#include <utility>

namespace beds::client {

/// The other end of BEDS: sends requests and gets replies, over AMQP or in the same process. Every
/// call ends by its deadline, whatever is broken.
///
/// A call does not throw for what happens to the request: the reply's results say it. When the
/// client itself has to answer - deadline, RabbitMQ away, queue full - it makes a reply with a code
/// of the same closed set, and the effect is as far as the client can know: `none` when the request
/// was certainly not worked on, else `unknown` for requests that write.
///
/// Thread-safe. Completions run on a thread of the client with no lock held, each exactly once;
/// they must not block and must not throw.
class client {
public:
    using completion = std::function<void(reply)>;

    virtual ~client() = default;

    /// Sends and returns at once; `done` gets the reply by the deadline at the latest (of a request
    /// `in_parts`: each of its parts, one after the other, the last by the deadline). The deadline
    /// covers all of it: waiting for a connection, the queue, the work, the way back.
    virtual void submit(request what, core::deadline until, completion done) = 0;

    /// Sends and waits. Must not be called from a completion.
    reply call(request what, core::deadline until);
    reply call(request what, std::chrono::milliseconds within = std::chrono::seconds{10}) {
        return call(std::move(what), core::deadline::after(within));
    }

    /// Waits until requests can be sent. False when the deadline came first.
    virtual bool wait_ready(core::deadline until) = 0;
};

} // namespace beds::client
