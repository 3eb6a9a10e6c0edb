#pragma once

#include <beds/client/client.hpp>

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

#include <memory>
#include <thread>
#include <utility>

namespace beds::client {

/// `client::submit` with an Asio completion token: callback, `use_future`, `use_awaitable`, … with
/// the signature `void(reply)`. The handler runs on its associated executor, never inside
/// `async_call`; one without an executor of its own runs on a thread of the client, or of Asio's
/// system executor when the client refuses the request at once. The client must outlive the call.
template <class CompletionToken>
auto async_call(client& through, request what, core::deadline until, CompletionToken&& token) {
    return boost::asio::async_initiate<CompletionToken, void(reply)>(
        [&through](auto handler, request sent, core::deadline limit) {
            using handler_type = decltype(handler);
            using executor_type = boost::asio::associated_executor_t<handler_type>;
            // Shared: std::function wants a copyable callable; handlers need not be.
            struct state {
                handler_type handler;
                executor_type executor;
                boost::asio::executor_work_guard<executor_type> work;
                std::thread::id starter = std::this_thread::get_id();
                bool started = false; // only the starter looks
            };
            auto executor = boost::asio::get_associated_executor(handler);
            auto work = boost::asio::make_work_guard(executor);
            const auto shared = std::make_shared<state>(
                state{std::move(handler), std::move(executor), std::move(work)});
            sent.in_parts = false; // the handler runs once
            through.submit(std::move(sent), limit, [shared](reply got) {
                auto finish = [shared, got = std::move(got)]() mutable {
                    auto run = std::move(shared->handler);
                    run(std::move(got));
                };
                // What is refused at once must not run inside the initiation.
                if (std::this_thread::get_id() == shared->starter && !shared->started) {
                    boost::asio::post(shared->executor, std::move(finish));
                } else {
                    boost::asio::dispatch(shared->executor, std::move(finish));
                }
                shared->work.reset();
            });
            shared->started = true;
        },
        token, std::move(what), until);
}

} // namespace beds::client
