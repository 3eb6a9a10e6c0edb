#include <beds/client/reply.hpp>
#include <beds/core/error.hpp>
#include <beds/core/json.hpp>

#include <mutex>
#include <span>

namespace beds::client {

/// What came from the node; shared by the replies to its operations.
struct reply::message {
    std::string body;
    core::arena memory{1024};
    wire::reply_view view;
};

struct reply::state {
    std::shared_ptr<const message> from;
    std::string request_id;
    std::span<const wire::result_view> results;
    bool part = false;
    mutable std::once_flag composed;
    mutable std::string json; ///< of a part, once somebody asked for it
};

reply::reply(std::string body, std::string request_id) {
    auto read = std::make_shared<message>();
    read->body = std::move(body);
    thread_local core::json_parser parser;
    if (!wire::decode_reply(read->body, parser, read->memory, read->view) ||
        read->view.results.empty()) {
        throw core::error(core::errc::protocol, "this is no reply of protocol version 1");
    }
    auto made = std::make_shared<state>();
    made->request_id = std::move(request_id);
    made->results = read->view.results;
    made->from = std::move(read);
    state_ = std::move(made);
}

reply reply::part(std::size_t i, std::string request_id) const {
    auto made = std::make_shared<state>();
    made->from = state_->from;
    made->request_id = std::move(request_id);
    made->results = state_->results.subspan(i, 1);
    made->part = state_->part || state_->from->view.enveloped;
    return reply{std::move(made)};
}

bool reply::ok() const {
    return state_->part ? state_->results.front().outcome.ok()
                        : state_->from->view.status == wire::reply_view::kind::ok;
}

std::size_t reply::size() const {
    return state_->results.size();
}

result reply::operator[](std::size_t i) const {
    return result{state_->results[i]};
}

std::string_view reply::event() const {
    return state_->from->view.event;
}

std::uint32_t reply::part_number() const {
    return state_->from->view.part;
}

bool reply::last() const {
    return state_->from->view.last;
}

const std::string& reply::request_id() const {
    return state_->request_id;
}

const std::string& reply::json() const {
    if (!state_->part) {
        return state_->from->body;
    }
    std::call_once(state_->composed, [&] {
        auto& text = state_->json;
        text.append(R"({"v":1,"event":)");
        core::append_json_string(text, event());
        text.push_back(',');
        const auto brace = text.size();
        core::append_json(text, *state_->results.front().body);
        text.erase(brace, 1);
    });
    return state_->json;
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
