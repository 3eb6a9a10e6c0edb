#include "dead_letters.hpp"

#include "brokers/parts.hpp"
#include "brokers/resend.hpp"
#include "connect.hpp"
#include "core/epoch.hpp"
#include "options.hpp"
#include "print.hpp"

#include <beds/amqp/connection.hpp>
#include <beds/amqp/topology.hpp>
#include <beds/core/data.hpp>
#include <beds/core/error.hpp>
#include <beds/core/json.hpp>
#include <beds/core/value.hpp>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <iterator>
#include <map>
#include <optional>
#include <ostream>
#include <thread>
#include <tuple>

namespace bedsctl {
namespace {

using namespace std::chrono_literals;
using beds::amqp::delivery;
using beds::core::datum;

std::string text_of(const beds::amqp::properties& from, std::string_view name) {
    return std::string{from.text(name).value_or(std::string_view{})};
}

bool holds_values(std::string_view member) {
    constexpr std::string_view names[] = {"key", "where", "data", "set", "inc", "if", "args"};
    return std::find(std::begin(names), std::end(names), member) != std::end(names);
}

void append_masked(std::string& out, const datum& from, shown_values how) {
    if (from.is(datum::kind::object)) {
        out.push_back('{');
        for (const auto& member : from.members()) {
            out.append(out.back() == '{' ? "" : ",");
            beds::core::append_json_string(out, member.name);
            out.push_back(':');
            append_masked(out, member.value,
                          holds_values(member.name) ? shown_values::masked : how);
        }
        out.push_back('}');
    } else if (from.is(datum::kind::array)) {
        out.push_back('[');
        for (const auto& item : from.items()) {
            out.append(out.back() == '[' ? "" : ",");
            append_masked(out, item, how);
        }
        out.push_back(']');
    } else if (how == shown_values::revealed || from.is(datum::kind::null)) {
        beds::core::append_json(out, from);
    } else {
        out.append("\"***\"");
    }
}

datum without_member(const datum& from, std::string_view name, beds::core::arena& memory) {
    if (from.find(name) == nullptr) {
        return from;
    }
    const auto rest = memory.make_span<beds::core::member>(from.members().size() - 1);
    std::copy_if(from.members().begin(), from.members().end(), rest.begin(),
                 [&](const auto& member) { return member.name != name; });
    return datum::of(std::span<const beds::core::member>{rest});
}

/// In its place; at the end when it was not there.
datum with_member(const datum& from, std::string_view name, const datum& value,
                  beds::core::arena& memory) {
    const bool there = from.find(name) != nullptr;
    const auto all = memory.make_span<beds::core::member>(from.members().size() + (there ? 0 : 1));
    std::copy(from.members().begin(), from.members().end(), all.begin());
    if (!there) {
        all.back().name = name;
    }
    for (auto& member : all) {
        if (member.name == name) {
            member.value = value;
        }
    }
    return datum::of(std::span<const beds::core::member>{all});
}

datum with_member(const datum& from, std::string_view name, std::string_view value,
                  beds::core::arena& memory) {
    return with_member(from, name, datum::of(value), memory);
}

beds::amqp::consumer_connection open(const beds::amqp::connection_settings& amqp,
                                     const std::string& service, beds::core::deadline until) try {
    return {amqp, until};
} catch (const beds::core::error& why) {
    throw beds::core::error(static_cast<beds::core::errc>(why.code().value()),
                            cannot_use(amqp, service, why.message()));
}

struct taken {
    delivery message{};
    letter about{};
};

/// What lies in the queue, and the consumer that holds it: nobody else may look meanwhile.
struct all_taken {
    std::vector<taken> letters{}; ///< that are looked at, the oldest first
    /// Behind them. Held as well: what is given back alone goes to the end of the queue.
    std::vector<taken> others{};
    std::optional<std::uint32_t> consumer{};
};

/// Everything that lies in the queue now, up to the bounds.
all_taken take_all(beds::amqp::consumer_connection& in, const std::string& queue,
                   std::string_view own_user, const letter_options& asked, std::ostream& err,
                   beds::core::deadline until) {
    const auto there = in.inspect(beds::amqp::queue_name{queue}, until);
    if (!there) {
        throw beds::core::error(beds::core::errc::unknown_name,
                                "there is no queue '" + queue +
                                    "': is the prefix of the queues right (--queue-tag)?");
    }
    constexpr std::size_t most_bytes = 256 * 1024 * 1024;
    all_taken made;
    constexpr std::uint16_t most_held = 65'535; // as many as RabbitMQ sends at a time
    const std::size_t wanted = std::min<std::size_t>(there->messages, most_held);
    if (wanted == 0) {
        return made;
    }
    beds::amqp::consume_options options;
    options.prefetch = most_held;
    options.exclusive = beds::amqp::exclusivity::exclusive;
    made.consumer = in.consume(beds::amqp::queue_name{queue}, options, until);
    std::size_t bytes = 0;
    while (made.letters.size() < wanted && bytes < most_bytes) {
        if (until.expired()) {
            throw beds::core::error(beds::core::errc::deadline_exceeded,
                                    "RabbitMQ did not deliver the dead letters in time");
        }
        std::vector<delivery> got;
        in.drain(got, wanted - made.letters.size(), 100ms);
        for (auto& one : got) {
            bytes += one.body().size();
            auto about = read_letter(one, own_user);
            made.letters.push_back({std::move(one), std::move(about)});
        }
    }
    if (made.letters.size() > asked.most) {
        const auto first = made.letters.begin() + asked.most;
        made.others.assign(std::make_move_iterator(first),
                           std::make_move_iterator(made.letters.end()));
        made.letters.erase(first, made.letters.end());
    }
    if (made.letters.size() < there->messages) {
        err << "bedsctl: only the oldest " << made.letters.size() << " of " << there->messages
            << " dead letters were looked at (--most)\n";
    }
    return made;
}

/// What was not acknowledged lies in the queue again when this returns: the next one to look finds
/// all of it. The consumer ends first, or it would be sent the same letters again, and they would
/// come back only some time after the connection is gone. A quorum queue counts what it was given
/// back once that is on disk, and nobody tells when: it is asked until it does. Somebody else may
/// have taken the letters by then, so not for long.
void give_back(beds::amqp::consumer_connection& in, all_taken& held, const std::string& queue,
               beds::core::deadline until) {
    if (!held.consumer) {
        return;
    }
    const auto returned = static_cast<std::ptrdiff_t>(held.others.size()) +
                          std::count_if(held.letters.begin(), held.letters.end(),
                                        [](const taken& one) { return !one.message.resolved(); });
    in.cancel(*held.consumer, until);
    std::vector<delivery> came_since;
    while (in.drain(came_since, 1024, 0ms) != 0) {
    }
    // Each goes to the front of the queue: the youngest first, so that all keep their order.
    while (!came_since.empty()) {
        came_since.pop_back();
    }
    for (auto* const each : {&held.others, &held.letters}) {
        while (!each->empty()) {
            each->pop_back();
        }
    }
    in.pump();
    const auto patience = beds::core::deadline::after(2s);
    while (!until.expired() && !patience.expired()) {
        const auto there = in.inspect(beds::amqp::queue_name{queue}, until);
        if (!there || there->messages >= returned) {
            return;
        }
        std::this_thread::sleep_for(5ms);
    }
}

std::string json_of(const letter& one, std::string_view body) {
    std::string text = "{";
    const auto add = [&](std::string_view name, std::string_view value) {
        text.append(text.size() == 1 ? "" : ",");
        beds::core::append_json_string(text, name);
        text.push_back(':');
        beds::core::append_json_string(text, value);
    };
    add("id", one.id);
    add("event", one.event);
    add("code", one.code);
    add("effect", one.effect);
    if (!one.operations.empty()) {
        add("operations", one.operations);
    }
    if (one.deadline) {
        add("deadline", beds::brokers::to_seconds_text(*one.deadline));
    }
    add("detail", one.detail);
    add("routing_key", one.routing_key);
    add("principal", one.principal);
    add("history", one.history);
    text.append(",\"attempts\":" + std::to_string(one.attempts));
    text.append(",\"bytes\":" + std::to_string(one.bytes));
    if (!body.empty()) {
        add("body", body);
    }
    return text + "}";
}

void list_each(std::ostream& out, const std::vector<const taken*>& chosen, format output) {
    std::vector<std::vector<std::string>> rows;
    rows.reserve(chosen.size());
    for (const auto* one : chosen) {
        const auto& about = one->about;
        if (output == format::json) {
            out << json_of(about, {}) << '\n';
            continue;
        }
        rows.push_back({about.id, about.code, about.effect, about.routing_key, about.principal,
                        std::to_string(about.attempts), about.detail});
    }
    if (output == format::table) {
        print_table(out, {"id", "code", "effect", "sent to", "principal", "attempts", "why"}, rows);
    }
}

/// Letters that died of the same.
struct cause {
    std::size_t letters = 0;
    std::string code{};
    std::string routing_key{};
    std::string detail{};
    std::string oldest{}; ///< its id
};

/// The most frequent first.
std::vector<cause> causes_of(const std::vector<const taken*>& chosen) {
    std::map<std::tuple<std::string, std::string, std::string>, cause> groups;
    for (const auto* one : chosen) {
        const auto& about = one->about;
        auto& found = groups[{about.code, about.routing_key, about.detail}];
        if (found.letters++ == 0) {
            found = {1, about.code, about.routing_key, about.detail, about.id};
        }
    }
    std::vector<cause> sorted;
    sorted.reserve(groups.size());
    for (auto& [key, found] : groups) {
        sorted.push_back(std::move(found));
    }
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const auto& a, const auto& b) { return a.letters > b.letters; });
    return sorted;
}

void list_by_cause(std::ostream& out, const std::vector<const taken*>& chosen, format output) {
    const auto causes = causes_of(chosen);
    if (output == format::json) {
        std::string text = "{\"letters\":" + std::to_string(chosen.size()) + ",\"causes\":[";
        for (const auto& one : causes) {
            text.append(text.back() == '[' ? "" : ",");
            text.append("{\"letters\":" + std::to_string(one.letters));
            const std::pair<std::string_view, std::string_view> members[] = {
                {"code", one.code},
                {"routing_key", one.routing_key},
                {"detail", one.detail},
                {"oldest", one.oldest}};
            for (const auto& [name, value] : members) {
                text.append(",\"").append(name).append("\":");
                beds::core::append_json_string(text, value);
            }
            text.push_back('}');
        }
        out << text << "]}\n";
        return;
    }
    std::vector<std::vector<std::string>> rows;
    rows.reserve(causes.size());
    for (const auto& one : causes) {
        rows.push_back(
            {std::to_string(one.letters), one.code, one.routing_key, one.detail, one.oldest});
    }
    print_table(out, {"letters", "code", "sent to", "why", "oldest"}, rows);
}

void list(std::ostream& out, const std::vector<const taken*>& chosen, bool each, format output) {
    if (chosen.empty() && (each || output == format::table)) {
        return; // programs read how many there are, people are told
    }
    if (each) {
        list_each(out, chosen, output);
    } else {
        list_by_cause(out, chosen, output);
    }
}

/// False when a letter is asked for that is not there.
bool all_are_there(const std::vector<taken*>& chosen, const letter_options& asked,
                   std::ostream& err) {
    bool all = true;
    for (const auto& id : asked.ids) {
        const bool there = std::any_of(chosen.begin(), chosen.end(), [&](const taken* one) {
            return id == one->about.id || id == one->about.event;
        });
        if (!there) {
            err << "bedsctl: there is no dead letter '" << cell_text(datum::of(id)) << "'"
                << (asked.code.empty() && asked.template_name.empty() ? "" : " of these") << '\n';
            all = false;
        }
    }
    return all;
}

void show(std::ostream& out, const taken& one, shown_values values, format output) {
    const auto body = values == shown_values::revealed ? std::string{one.message.body()}
                                                       : masked_body(one.message.body());
    if (output == format::json) {
        out << json_of(one.about, body) << '\n';
        return;
    }
    const auto& about = one.about;
    std::vector<std::vector<std::string>> rows{
        {"event", about.event}, {"code", about.code}, {"effect", about.effect}};
    if (!about.operations.empty()) {
        rows.push_back({"operations", about.operations});
    }
    rows.push_back({"why", about.detail});
    if (about.deadline) {
        const bool over = *about.deadline < std::chrono::system_clock::now();
        rows.push_back({"deadline", beds::brokers::to_seconds_text(*about.deadline) +
                                        (over ? " of its sender, which is over" : "")});
    }
    rows.insert(rows.end(), {{"sent to", about.routing_key},
                             {"principal", about.principal},
                             {"attempts", std::to_string(about.attempts)},
                             {"history", about.history},
                             {"body", body}});
    print_table(out, {"dead letter", about.id}, rows);
}

/// The time with which it begins.
std::optional<beds::core::system_time> time_at_front(std::string_view history) {
    using clock_duration = beds::core::system_time::duration;
    const auto parsed = beds::core::parse_datetime(history.substr(0, history.find(' ')));
    const auto latest =
        std::chrono::duration_cast<std::chrono::microseconds>(clock_duration::max());
    if (!parsed || *parsed < 0 || *parsed > latest.count()) {
        return std::nullopt; // of no clock that a node has
    }
    return beds::core::system_time{
        std::chrono::duration_cast<clock_duration>(std::chrono::microseconds{*parsed})};
}

/// By a node under an account that is not the one asking.
bool kept_by_another(const taken& one, std::string_view own_user) {
    const auto& properties = one.message.properties();
    return properties.find("beds-principal") != nullptr && properties.user_id != own_user;
}

exit_code replay(beds::amqp::consumer_connection& in, const std::vector<taken*>& chosen,
                 const beds::amqp::connection_settings& amqp, std::string_view queue_tag,
                 const letter_options& asked, std::ostream& out, std::ostream& err,
                 beds::core::deadline until) {
    beds::amqp::publisher_connection through{amqp, until};
    beds::brokers::resender again{amqp.user, "bedsctl"};
    auto result = exit_code::ok;
    std::size_t replayed = 0;
    std::size_t operations = 0;
    std::size_t left_out = 0;
    std::size_t late = 0;
    for (auto* one : chosen) {
        if (kept_by_another(*one, amqp.user)) {
            err << "bedsctl: '" << one->about.id << "' was kept by the account '"
                << one->message.properties().user_id
                << "': only that one can send it again as its first sender (use the node's "
                   "configuration)\n";
            result = exit_code::refused;
            continue;
        }
        const auto now = std::chrono::system_clock::now();
        const auto danger = danger_of(one->about, asked.inbox_window, now);
        if (!danger.empty() && !asked.may_happen_twice) {
            err << "bedsctl: '" << one->about.id << "' might happen twice: " << danger
                << "; --may-happen-twice sends it all the same\n";
            result = exit_code::refused;
            continue;
        }
        restated sent;
        if (asked.replay_ids == letter_ids::renewed) {
            sent = under_new_ids(one->about, one->message.body(), asked.may_happen_twice);
            if (!sent.refused.empty()) {
                err << "bedsctl: '" << one->about.id << "' gets no new id: " << sent.refused
                    << '\n';
                result = exit_code::refused;
                continue;
            }
        }
        if (auto free = without_deadlines(sent.body.empty() ? one->message.body() : sent.body)) {
            sent.body = std::move(*free);
        }
        std::vector<beds::amqp::header> more;
        if (asked.deadline) {
            const auto at = std::chrono::duration_cast<std::chrono::milliseconds>(
                (now + *asked.deadline).time_since_epoch());
            more.push_back(beds::amqp::header::of("beds-deadline", std::int64_t{at.count()}));
        }
        again.send(one->message,
                   {.exchange = beds::amqp::events_exchange(queue_tag).str(),
                    .key = one->about.routing_key,
                    .more = more,
                    .message_id = sent.message_id,
                    .body = sent.body,
                    .told = "replayed"},
                   through, now, until);
        if (!through.wait_confirms(until) || !through.take_undelivered().empty()) {
            err << "bedsctl: RabbitMQ did not take '" << one->about.id
                << "' again; it stays a dead letter\n";
            result = exit_code::refused;
            continue;
        }
        one->message.ack();
        in.pump(); // acknowledged now, and its heartbeats go on
        ++replayed;
        operations += sent.operations;
        left_out += sent.left_out;
        late += one->about.deadline && *one->about.deadline < now ? 1U : 0U;
    }
    out << replayed << " dead letter(s) sent again\n";
    if (replayed == 0) {
        return result;
    }
    if (asked.replay_ids == letter_ids::renewed) {
        out << operations << " operation(s) under new ids";
        if (left_out != 0) {
            out << ", without " << left_out << " that were done";
        }
        out << '\n';
    } else {
        out << "What was applied, or refused for good, gets its first answer again, and only the "
               "rest is done; --new-id does what was refused, under new ids\n";
    }
    if (late != 0 && !asked.deadline) {
        out << late
            << " of them had a deadline of their sender that is over; they have the time that "
               "their templates give (--deadline gives another)\n";
    }
    return result;
}

} // namespace

letter read_letter(const delivery& from, std::string_view own_user) {
    const auto& properties = from.properties();
    const auto origin = beds::brokers::origin_of(from, own_user);
    letter made;
    made.event = text_of(properties, "beds-event");
    made.id = properties.message_id.empty() ? made.event : std::string{properties.message_id};
    made.code = text_of(properties, "beds-error-code");
    made.effect = text_of(properties, "beds-error-effect");
    made.guarantee = text_of(properties, "beds-error-guarantee");
    made.detail = text_of(properties, "beds-error-detail");
    if (origin.again) { // written by a node
        made.operations = text_of(properties, beds::brokers::parts_header);
    }
    made.deadline = own_deadline(from);
    if (made.code.empty()) { // RabbitMQ gave it up
        made.code = rabbitmq_code;
        made.effect = "unknown";
        made.detail = text_of(properties, "x-first-death-reason");
        if (made.detail == "rejected") { // by a node, which ran nothing of it
            made.effect = "none";
            made.never_taken = true;
            made.detail += ": too large, or too many headers, for a node to take";
        } else if (made.detail == "expired") {
            made.detail += ": it waited for a node longer than its sender's `expiration` allowed";
        }
    }
    made.routing_key = origin.routing_key;
    made.principal = origin.principal;
    made.history = origin.history;
    made.attempts = origin.attempts;
    made.bytes = from.body().size();
    // The history is cut at its beginning when it grows too long.
    constexpr std::size_t perhaps_cut = 900;
    if (const auto first = time_at_front(made.history);
        first && made.history.size() < perhaps_cut) {
        made.since = *first;
    }
    return made;
}

bool is_chosen(const letter& one, const letter_options& by) {
    const bool named =
        by.ids.empty() || std::any_of(by.ids.begin(), by.ids.end(), [&](const std::string& id) {
            return !id.empty() && (id == one.id || id == one.event);
        });
    const auto dot = one.routing_key.rfind('.');
    return named && (by.code.empty() || by.code == one.code) &&
           (by.template_name.empty() || one.routing_key.substr(0, dot) == by.template_name);
}

std::string masked_body(std::string_view body) {
    beds::core::arena memory;
    datum parsed;
    if (beds::core::parse_json(body, memory, parsed) || !parsed.is(datum::kind::object)) {
        return "(" + std::to_string(body.size()) + " bytes that are no JSON object)";
    }
    std::string made;
    append_masked(made, parsed, shown_values::revealed);
    return made;
}

restated under_new_ids(const letter& one, std::string_view body, bool may_happen_twice) {
    restated made;
    const auto refuse = [](const char* why) { return restated{.refused = why}; };
    if (one.event.empty() && !may_happen_twice) {
        return refuse("no node says what became of it");
    }
    if (one.effect == "applied") {
        return refuse("what could be done of it was applied");
    }
    const bool known = one.effect == "none" || one.effect == "partly";
    if (!known && !may_happen_twice) {
        return refuse("a part of it may have been applied");
    }
    beds::core::arena memory;
    datum parsed;
    if (beds::core::parse_json(body, memory, parsed) || !parsed.is(datum::kind::object)) {
        return refuse("it is no request");
    }
    const auto* const ops = parsed.find("ops");
    if (ops == nullptr) {
        const auto* const own = parsed.find("id");
        made.operations = 1;
        if (own == nullptr) {
            made.message_id = renewed_id(one.id);
        } else if (own->is(datum::kind::string)) {
            beds::core::append_json(
                made.body, with_member(parsed, "id", memory.copy(renewed_id(own->text)), memory));
        } else {
            return refuse("it is no request");
        }
        return made;
    }
    const auto parts = beds::brokers::read_parts(one.operations, ops->items().size());
    if (parts.empty() && (one.effect == "partly" || !one.operations.empty())) {
        return refuse("it does not say which part of it was applied");
    }
    std::vector<datum> rest;
    for (std::size_t i = 0; i < ops->items().size(); ++i) {
        const auto& op = ops->items()[i];
        if (!op.is(datum::kind::object)) {
            return refuse("it is no request");
        }
        if (!parts.empty()) {
            const auto& part = parts[i];
            if (part.effect != "none" && part.effect != "applied" && !may_happen_twice) {
                return refuse("a part of it may have been applied");
            }
            if (part.effect == "applied" || part.code == "OK") {
                ++made.left_out;
                continue;
            }
        }
        const auto* const own = op.find("id");
        const auto id = own != nullptr && own->is(datum::kind::string)
                            ? std::string{own->text}
                            : one.id + "/" + std::to_string(i); // as nodes make it
        rest.push_back(with_member(op, "id", memory.copy(renewed_id(id)), memory));
    }
    if (rest.empty()) {
        return refuse("all of it was done");
    }
    made.operations = rest.size();
    beds::core::append_json(
        made.body, with_member(parsed, "ops", datum::of(std::span<const datum>{rest}), memory));
    return made;
}

std::optional<std::string> without_deadlines(std::string_view body) {
    beds::core::arena memory;
    datum parsed;
    if (body.find("\"deadline\"") == std::string_view::npos ||
        beds::core::parse_json(body, memory, parsed) || !parsed.is(datum::kind::object)) {
        return std::nullopt;
    }
    bool found = parsed.find("deadline") != nullptr;
    auto whole = without_member(parsed, "deadline", memory);
    std::vector<datum> rest;
    if (const auto* const ops = whole.find("ops")) {
        for (const auto& op : ops->items()) {
            found = found || op.find("deadline") != nullptr;
            rest.push_back(without_member(op, "deadline", memory));
        }
        whole = with_member(whole, "ops", datum::of(std::span<const datum>{rest}), memory);
    }
    if (!found) {
        return std::nullopt; // it stands in a value
    }
    std::string made;
    beds::core::append_json(made, whole);
    return made;
}

std::optional<beds::core::system_time> own_deadline(const delivery& from) {
    std::optional<std::int64_t> latest = from.properties().integer("beds-deadline");
    const auto look = [&](const datum& at) {
        const auto* const given = at.find("deadline");
        if (given != nullptr && given->is(datum::kind::integer)) {
            latest = std::max(latest.value_or(0), given->integer);
        }
    };
    beds::core::arena memory;
    datum parsed;
    if (from.body().find("\"deadline\"") != std::string_view::npos &&
        !beds::core::parse_json(from.body(), memory, parsed)) {
        look(parsed);
        if (const auto* const ops = parsed.find("ops")) {
            std::for_each(ops->items().begin(), ops->items().end(), look);
        }
    }
    return latest ? beds::core::time_from_epoch(*latest) : std::nullopt;
}

std::string renewed_id(std::string_view id) {
    // "order-1", "order-1~2", "order-1~3", …
    const auto mark = id.rfind('~');
    const auto digits = mark == std::string_view::npos ? std::string_view{} : id.substr(mark + 1);
    unsigned before = 1;
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), before);
    const bool renewed = !digits.empty() && read.ec == std::errc{} &&
                         read.ptr == digits.data() + digits.size() && before < 1'000'000;
    const auto number = "~" + std::to_string(renewed ? before + 1 : 2);
    auto stem = std::string{renewed ? id.substr(0, mark) : id};
    constexpr std::size_t longest = 255;
    if (stem.size() + number.size() > longest) {
        char text[33];
        const auto hash = beds::core::hash(stem);
        std::snprintf(text, sizeof text, "%016llx%016llx",
                      static_cast<unsigned long long>(hash.high),
                      static_cast<unsigned long long>(hash.low));
        stem = text;
    }
    return stem + number;
}

std::string danger_of(const letter& one, std::chrono::seconds inbox_window,
                      beds::core::system_time now) {
    if (one.never_taken) {
        return {};
    }
    if (one.effect != "none" && one.effect != "applied" && one.effect != "partly") {
        return "its effect is unknown";
    }
    if (one.guarantee == "at_least_once") {
        return "what was done of it keeps no record of its id (at_least_once)";
    }
    if (!one.since) {
        return "it is not known when it was tried first";
    }
    // A minute for clocks that differ.
    if (now - *one.since > inbox_window - std::min<std::chrono::seconds>(inbox_window / 2, 60s)) {
        return "it was tried first longer ago than ids are remembered (inbox_window)";
    }
    return {};
}

exit_code handle_dead_letters(const beds::amqp::connection_settings& amqp,
                              std::string_view queue_tag, const letter_options& asked,
                              format output, std::ostream& out, std::ostream& err,
                              beds::core::deadline until) {
    auto in = open(amqp, asked.service, until);
    const auto queue = beds::amqp::dead_queue(queue_tag).str();
    auto held = take_all(in, queue, amqp.user, asked, err, until);
    std::vector<taken*> chosen;
    for (auto& one : held.letters) {
        if (is_chosen(one.about, asked)) {
            chosen.push_back(&one);
        }
    }
    const auto keeper = std::find_if(chosen.begin(), chosen.end(), [&](const taken* one) {
        return kept_by_another(*one, amqp.user);
    });
    if (keeper != chosen.end()) {
        err << "bedsctl: the account '" << (*keeper)->message.properties().user_id
            << "' kept them, and what it wrote of their senders and history is believed to itself "
               "only: use the node's configuration (--config) to see it\n";
    }
    auto result = exit_code::ok;
    if (held.letters.empty()) {
        err << "bedsctl: there are no dead letters\n";
    } else if (chosen.empty() && asked.ids.empty()) {
        err << "bedsctl: none of the dead letters is meant by what was given\n";
    }
    if (asked.task == letter_task::list) {
        list(out, {chosen.begin(), chosen.end()}, asked.each, output);
    } else if (asked.task == letter_task::show) {
        for (const auto* one : chosen) {
            show(out, *one, asked.values, output);
        }
    } else if (chosen.empty()) {
        // Neither dropped nor sent again: said above.
    } else if (asked.task == letter_task::drop) {
        for (auto* one : chosen) {
            one->message.ack();
        }
        out << chosen.size() << " dead letter(s) dropped\n";
    } else {
        result = replay(in, chosen, amqp, queue_tag, asked, out, err, until);
    }
    if (!all_are_there(chosen, asked, err)) {
        result = std::max(result, exit_code::refused);
    }
    give_back(in, held, queue, until);
    in.close(until);
    return result;
}

} // namespace bedsctl
