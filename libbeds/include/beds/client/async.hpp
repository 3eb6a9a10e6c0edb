#pragma once

#include <beds/client/client.hpp>

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>

#include <memory>
#include <utility>

namespace beds::client {

/// `client::submit` with an Asio completion token: callback, `use_future`, `use_awaitable`, … with
/// the signature `void(reply)`. The handler runs on its associated executor. The client must
/// outlive the call.
template <class CompletionToken>
auto async_call(client& through, request what, core::deadline until, CompletionToken&& token) {
    return boost::asio::async_initiate<CompletionToken, void(reply)>(
        [&through](auto handler, request sent, core::deadline limit) {
            auto executor = boost::asio::get_associated_executor(handler);
            auto work = boost::asio::make_work_guard(executor);
            // std::function wants a copyable callable; handlers need not be.
            auto shared = std::make_shared<decltype(handler)>(std::move(handler));
            through.submit(std::move(sent), limit,
                           [shared, work = std::move(work), executor](reply got) mutable {
                               boost::asio::dispatch(executor,
                                                     [shared, got = std::move(got)]() mutable {
                                                         (*shared)(std::move(got));
                                                     });
                               work.reset();
                           });
        },
        token, std::move(what), until);
}

} // namespace beds::client
