#include <beds/client/reply.hpp>
#include <beds/core/error.hpp>
#include <beds/core/json.hpp>

namespace beds::client {

struct reply::state {
    std::string body;
    std::string request_id;
    core::arena memory{1024};
    wire::reply_view view;
};

reply::reply(std::string body, std::string request_id) {
    auto made = std::make_shared<state>();
    made->body = std::move(body);
    made->request_id = std::move(request_id);
    thread_local core::json_parser parser;
    if (!wire::decode_reply(made->body, parser, made->memory, made->view) ||
        made->view.results.empty()) {
        throw core::error(core::errc::protocol, "this is no reply of protocol version 1");
    }
    state_ = std::move(made);
}

const wire::reply_view& reply::view() const {
    return state_->view;
}

const std::string& reply::request_id() const {
    return state_->request_id;
}

const std::string& reply::json() const {
    return state_->body;
}

std::string_view row::text(std::string_view field) const {
    const auto* found = from_->find(field);
    return found != nullptr && found->is(core::datum::kind::string) ? found->text
                                                                    : std::string_view{};
}

std::optional<std::int64_t> row::integer(std::string_view field) const {
    const auto* found = from_->find(field);
    if (found == nullptr || !found->is(core::datum::kind::integer)) {
        return std::nullopt;
    }
    return found->integer;
}

const core::datum* result::set(std::string_view name) const {
    return from_->sets == nullptr ? nullptr : from_->sets->find(name);
}

} // namespace beds::client
