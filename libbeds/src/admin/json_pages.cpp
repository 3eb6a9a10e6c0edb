#include <beds/admin/pages.hpp>
#include <beds/core/json.hpp>

#include <string_view>

namespace beds::admin {
namespace {

/// Objects and lists without a comma too many.
class json_text {
public:
    json_text& open(char bracket) {
        separate();
        text_ += bracket;
        first_ = true;
        return *this;
    }
    json_text& close(char bracket) {
        text_ += bracket;
        first_ = false;
        return *this;
    }
    json_text& name(std::string_view name) {
        separate();
        core::append_json_string(text_, name);
        text_ += ':';
        first_ = true; // its value follows without a comma
        return *this;
    }
    void string(std::string_view value) {
        separate();
        core::append_json_string(text_, value);
    }
    void raw(std::string_view value) {
        separate();
        text_ += value;
    }
    void member(std::string_view key, std::string_view value) { name(key).string(value); }
    void member(std::string_view key, std::uint64_t value) { name(key).raw(std::to_string(value)); }
    void flag(std::string_view key, bool value) { name(key).raw(value ? "true" : "false"); }
    std::string take() { return std::move(text_) + '\n'; }

private:
    void separate() {
        if (!first_) {
            text_ += ',';
        }
        first_ = false;
    }
    std::string text_;
    bool first_ = true;
};

void write_liveness(json_text& out, const node::node_status& of) {
    out.flag("live", of.live);
    out.name("stuck").open('[');
    for (const auto& one : of.stuck) {
        out.string(one);
    }
    out.close(']');
}

void write_readiness(json_text& out, const node::node_status& of) {
    out.flag("ready", of.ready);
    out.name("dependencies").open('[');
    for (const auto& one : of.dependencies) {
        out.open('{');
        out.member("name", one.name);
        out.flag("required", one.required);
        out.flag("ready", one.ready);
        if (!one.ready) {
            out.member("reason", one.trouble);
        }
        out.close('}');
    }
    out.close(']');
}

/// Only when there was one.
void write_reload(json_text& out, const node::reload_status& of) {
    if (!of.at) {
        return;
    }
    out.name("reload").open('{');
    out.member("changed", of.changed);
    out.member("unchanged", of.unchanged);
    out.member("refused", of.refused);
    out.member("last", node::to_string(of.last.result));
    const auto at =
        std::chrono::duration_cast<std::chrono::milliseconds>(of.at->time_since_epoch());
    out.name("at_ms").raw(std::to_string(at.count()));
    out.member("took_us", static_cast<std::uint64_t>(of.last.took.count()));
    out.member("text", node::to_string(of.last));
    out.name("problems").open('[');
    for (const auto& one : of.last.problems) {
        out.string(one);
    }
    out.close(']');
    out.member("brokers", of.last.brokers);
    out.member("following", of.last.following);
    out.close('}');
}

void write_broker(json_text& out, const observe::broker_counters& of) {
    out.open('{');
    out.member("name", of.broker);
    out.member("connection", of.connection);
    out.member("class", core::to_string(of.op_class));
    out.member("messages", of.messages);
    out.member("operations", of.operations);
    out.member("batches", of.batches);
    out.member("replies", of.replies);
    out.member("replies_returned", of.replies_returned);
    out.member("reruns", of.reruns);
    out.flag("rabbitmq", of.amqp_connected);
    out.flag("database", of.backend_connected);
    out.close('}');
}

void write_traffic(json_text& out, const observe::template_traffic& of) {
    out.open('{');
    out.member("template", of.name);
    out.member("received", of.received);
    out.member("replied_ok", of.replied_ok);
    out.member("rejected", of.rejected);
    out.member("unknown", of.unknown);
    out.member("dead", of.dead);
    out.member("requeued", of.requeued);
    out.member("in_flight", of.in_flight);
    out.name("requests").open('[');
    for (const auto& line : of.requests) {
        out.open('{');
        out.member("op", line.op ? core::to_string(*line.op) : std::string_view{});
        out.member("code", line.code == core::code::ok ? "OK" : core::to_string(line.code));
        out.member("count", line.count);
        out.close('}');
    }
    out.close(']').close('}');
}

} // namespace

std::string liveness_json(const node::node_status& of) {
    json_text out;
    out.open('{');
    write_liveness(out, of);
    return out.close('}').take();
}

std::string readiness_json(const node::node_status& of) {
    json_text out;
    out.open('{');
    write_readiness(out, of);
    write_reload(out, of.reload);
    return out.close('}').take();
}

std::string status_json(const view& of) {
    json_text out;
    out.open('{');
    write_liveness(out, of.status);
    write_readiness(out, of.status);
    write_reload(out, of.status.reload);
    out.name("templates").open('[');
    for (const auto& one : of.traffic) {
        write_traffic(out, one);
    }
    out.close(']').name("queues").open('[');
    for (const auto& one : of.queues) {
        out.open('{');
        out.member("service", one.service);
        out.member("queue", one.queue);
        out.member("messages", one.messages);
        out.member("consumers", one.consumers);
        out.close('}');
    }
    out.close(']').name("brokers").open('[');
    for (const auto& one : of.status.brokers) {
        write_broker(out, one);
    }
    return out.close(']').close('}').take();
}

} // namespace beds::admin
