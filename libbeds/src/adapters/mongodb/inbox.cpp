#include "adapters/mongodb/bson_reader.hpp"
#include "adapters/mongodb/filters.hpp"
#include "adapters/mongodb/session.hpp"
#include "adapters/short_reply.hpp"

#include <beds/core/clock.hpp>

#include <algorithm>
#include <thread>
#include <utility>

// One document of the collection `beds_inbox` for each write:
//   _id  {p: principal, i: id}     c  the content's hash   t  when its intent was written
//   k    the token of the attempt  w  of an insert with generated keys: the keys
//   e    what happened since, in order: {k: by whom, r: the reply} or {k, o: who takes over, t}
// It is inserted before the write is sent, which makes it the intent, and gets the reply after.

namespace beds::adapters::mongodb {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view inbox = "beds_inbox";
constexpr std::size_t ids_at_once = 1000;
/// A command is one document too, and the server takes little more than the largest document.
constexpr std::size_t full_command = std::size_t{15} << 20;
constexpr std::size_t longest_reply = std::size_t{12} << 20;
/// Of what is left to do when the connection is back. What is more is left to evidence.
constexpr std::size_t most_left_over = 4096;
/// So long whoever began a write is given to end it before somebody else takes it over.
constexpr std::chrono::milliseconds patience{2'000};
constexpr std::chrono::minutes time_is_good_for{10};
constexpr std::int32_t duplicate = 11000;

using core::value;

std::array<std::uint8_t, 16> bytes_of(core::content_hash hash) {
    std::array<std::uint8_t, 16> made{};
    for (std::size_t i = 0; i < 8; ++i) {
        made[i] = static_cast<std::uint8_t>(hash.high >> (56U - 8U * i));
        made[i + 8] = static_cast<std::uint8_t>(hash.low >> (56U - 8U * i));
    }
    return made;
}

core::content_hash hash_of(std::string_view bytes) {
    core::content_hash made;
    if (bytes.size() == 16) {
        for (std::size_t i = 0; i < 8; ++i) {
            made.high = (made.high << 8U) | static_cast<unsigned char>(bytes[i]);
            made.low = (made.low << 8U) | static_cast<unsigned char>(bytes[i + 8]);
        }
    }
    return made;
}

std::string_view text(const std::array<std::uint8_t, 16>& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string_view bytes_at(const bson_iter_t& at) {
    if (BSON_ITER_HOLDS_UTF8(&at)) {
        std::uint32_t size = 0;
        const char* const data = bson_iter_utf8(&at, &size);
        return {data, size};
    }
    if (BSON_ITER_HOLDS_BINARY(&at)) {
        std::uint32_t size = 0;
        const std::uint8_t* data = nullptr;
        bson_subtype_t subtype{};
        bson_iter_binary(&at, &subtype, &size, &data);
        return {reinterpret_cast<const char*>(data), size};
    }
    return {};
}

write_token token_at(const bson_iter_t& at) {
    write_token made;
    if (BSON_ITER_HOLDS_OID(&at)) {
        const auto* const id = bson_iter_oid(&at);
        std::copy(std::begin(id->bytes), std::end(id->bytes), made.bytes.begin());
    }
    return made;
}

bool is_generated(const templates::template_def& target) {
    return std::any_of(target.key.begin(), target.key.end(), [&](field_id id) {
        return target.fields[id].source != templates::generated::no;
    });
}

bool before(const operation_identity& left, const operation_identity& right) {
    return left.principal != right.principal ? left.principal < right.principal
                                             : left.id < right.id;
}

} // namespace

// ---- the time of the server

std::chrono::milliseconds mongodb_session::server_now() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               core::machine_clock().system_now().time_since_epoch()) +
           server_ahead_;
}

void mongodb_session::learn_time(core::deadline until) {
    // Nodes whose clocks differ must agree on what was before: they all go by the server's.
    until_ = until;
    command_.clear();
    command_.int32("isMaster", 1);
    if (execute_on("admin", aim::write, time_limit::none) != ending::answered) {
        return;
    }
    time_learned_ = core::machine_clock().steady_now();
    bson_iter_t found;
    if (bson_iter_init_find(&found, reply_.get(), "localTime") &&
        BSON_ITER_HOLDS_DATE_TIME(&found)) {
        server_ahead_ = 0ms;
        server_ahead_ = std::chrono::milliseconds{bson_iter_date_time(&found)} - server_now();
    }
}

// ---- records

void mongodb_session::start_inbox(std::span<const operation_identity> ids) {
    if (!shared_->inbox() || ids.empty()) {
        return;
    }
    core::op_index highest = 0;
    records_.reserve(ids.size());
    for (const auto& id : ids) {
        auto& made = records_.emplace_back();
        made.identity = id;
        highest = std::max(highest, id.index);
    }
    record_of_.assign(std::size_t{highest} + 1, 0);
    for (std::size_t i = 0; i < records_.size(); ++i) {
        record_of_[records_[i].identity.index] = static_cast<std::uint32_t>(i + 1);
    }
    if (!time_learned_ || core::machine_clock().steady_now() - *time_learned_ > time_is_good_for) {
        learn_time(until_);
    }
}

mongodb_session::write_record* mongodb_session::record_of(core::op_index index) {
    if (index >= record_of_.size() || record_of_[index] == 0) {
        return nullptr;
    }
    return &records_[record_of_[index] - 1];
}

write_kind mongodb_session::kind_of(const bound_operation& op) {
    switch (op.op) {
    case core::verb::insert:
        // With `on_conflict` a document that is there need not be somebody else's.
        return op.unique.empty() ? write_kind::insert : write_kind::change;
    case core::verb::update:
        return op.key.empty() ? write_kind::many : write_kind::change;
    case core::verb::remove:
        return op.key.empty() ? write_kind::many : write_kind::remove;
    default:
        return write_kind::many;
    }
}

mongodb_session::write_record* mongodb_session::tracked(const bound_operation& op) {
    return kind_of(op) == write_kind::many ? nullptr : record_of(op.index);
}

bool mongodb_session::is_doubtful(const bound_operation& op) {
    const auto* const record = tracked(op);
    return record != nullptr && record->stage == write_record::progress::doubtful;
}

void mongodb_session::note_sent(operation_list sent, ending how) {
    if (how == ending::not_sent) {
        return;
    }
    for (const auto* op : sent) {
        if (auto* const record = record_of(op->index)) {
            record->sent = true;
        }
    }
}

core::outcome mongodb_session::written(const bound_operation& op) {
    auto outcome = core::outcome::applied();
    outcome.at_least_once = tracked(op) == nullptr;
    return outcome;
}

void mongodb_session::stays_unknown(run_scope& scope, const bound_operation& op) {
    touched_ = true;
    scope.results[op.index] =
        core::outcome::failure(core::code::backend_conflict,
                               "it was begun before, and what became of it can no longer be told",
                               {}, core::effect::unknown);
}

// ---- commands

void mongodb_session::begin_inbox(std::string_view verb, aim what) {
    command_.clear();
    command_.string(verb, inbox);
    if (takes_comments(what)) {
        command_.string("comment", "beds inbox");
    }
    command_.elements_of(what == aim::read ? shared_->read_members() : shared_->write_members());
}

void mongodb_session::append_inbox_id(std::string_view principal, std::string_view id) {
    command_.begin_document("_id");
    // Text where it is text, for people; ids that are not stay apart from those that are.
    if (bson_utf8_validate(principal.data(), principal.size(), true)) {
        command_.string("p", principal);
    } else {
        command_.binary("p", 0, principal);
    }
    command_.binary("i", 0, id);
    command_.end();
}

void mongodb_session::begin_event(std::string_view principal, std::string_view id,
                                  const write_token& author) {
    // By `_id` alone: what the event comes to is said by its place among the others.
    command_.begin_document("q");
    append_inbox_id(principal, id);
    command_.end();
    command_.begin_document("u");
    command_.begin_document("$push");
    command_.begin_document("e");
    command_.object_id("k", author.bytes);
}

void mongodb_session::end_event() {
    command_.end();
    command_.end();
    command_.end();
}

step_result mongodb_session::inbox_failed(const server_error& error) {
    // Without the inbox nothing may be written: whether it happened before is not known.
    log(observe::level::error, "BEDS_MONGODB_INBOX",
        "beds_inbox cannot be used: error " + std::to_string(error.code) + ": " +
            std::string{error.message});
    close();
    return is_late() ? step_result::expired : step_result::broken;
}

// ---- begin

step_result mongodb_session::look_up(std::vector<stored_reply>& known) {
    std::vector<write_record*> asked;
    for (auto& record : records_) {
        asked.push_back(&record);
    }
    for (auto pause = 2ms;; pause = std::min(2 * pause, 50ms)) {
        const auto result = look_up(asked, known);
        if (result != step_result::done) {
            return result;
        }
        // What was begun a moment ago is most likely about to end, by another broker's hand.
        const auto now = server_now();
        std::erase_if(asked, [&](const write_record* one) {
            return one->stage != write_record::progress::doubtful || now - one->began > patience ||
                   std::find(own_.begin(), own_.end(), one->token) != own_.end();
        });
        if (asked.empty() || until_.remaining() < 4 * pause + 200ms) {
            break;
        }
        std::this_thread::sleep_for(pause);
    }
    for (const auto& record : records_) {
        if (record.stage == write_record::progress::doubtful) {
            known.push_back({record.identity.index, record.identity.content, {}});
        }
    }
    return step_result::done;
}

step_result mongodb_session::look_up(std::span<write_record* const> records,
                                     std::vector<stored_reply>& known) {
    std::vector<write_record*> order{records.begin(), records.end()};
    std::sort(order.begin(), order.end(), [](const auto* left, const auto* right) {
        return before(left->identity, right->identity);
    });
    for (std::size_t first = 0; first < order.size(); first += ids_at_once) {
        const auto chunk =
            std::span{order}.subspan(first, std::min(ids_at_once, order.size() - first));
        for (auto* record : chunk) {
            record->stage = write_record::progress::fresh;
        }
        begin_inbox("find", aim::read);
        command_.begin_document("filter");
        command_.begin_document("_id");
        command_.begin_array("$in");
        for (std::size_t i = 0; i < chunk.size(); ++i) {
            command_.begin_document(element_name{i});
            const auto& id = chunk[i]->identity;
            if (bson_utf8_validate(id.principal.data(), id.principal.size(), true)) {
                command_.string("p", id.principal);
            } else {
                command_.binary("p", 0, id.principal);
            }
            command_.binary("i", 0, id.id);
            command_.end();
        }
        command_.end();
        command_.end();
        command_.end();
        command_.int32("batchSize", static_cast<std::int32_t>(chunk.size() + 1));
        auto how = execute(aim::write); // of the primary
        if (how == ending::answered) {
            how = each_document(aim::write, [&](const bson_iter_t& document) {
                bson_iter_t member;
                if (!bson_iter_recurse(&document, &member)) {
                    return true;
                }
                operation_identity found;
                core::content_hash content;
                write_token token;
                bson_iter_t events{};
                bool has_events = false;
                std::chrono::milliseconds began{0};
                bson_iter_t keys{};
                bool has_keys = false;
                while (bson_iter_next(&member)) {
                    const std::string_view name = bson_iter_key(&member);
                    bson_iter_t part;
                    if (name == "_id" && bson_iter_recurse(&member, &part)) {
                        while (bson_iter_next(&part)) {
                            const std::string_view which = bson_iter_key(&part);
                            (which == "p" ? found.principal : found.id) = bytes_at(part);
                        }
                    } else if (name == "c") {
                        content = hash_of(bytes_at(member));
                    } else if (name == "k") {
                        token = token_at(member);
                    } else if (name == "e") {
                        events = member;
                        has_events = true;
                    } else if (name == "t" && BSON_ITER_HOLDS_DATE_TIME(&member)) {
                        began = std::chrono::milliseconds{bson_iter_date_time(&member)};
                    } else if (name == "w" && BSON_ITER_HOLDS_ARRAY(&member)) {
                        keys = member;
                        has_keys = true;
                    }
                }
                const auto state = read_events(has_events ? &events : nullptr, token);
                auto match = std::lower_bound(chunk.begin(), chunk.end(), found,
                                              [](const auto* one, const auto& wanted) {
                                                  return before(one->identity, wanted);
                                              });
                for (; match != chunk.end() && !before(found, (*match)->identity); ++match) {
                    auto& record = **match;
                    const bool open = !state.replied && content == record.identity.content;
                    record.stage =
                        open ? write_record::progress::doubtful : write_record::progress::replied;
                    record.owner = state.owner;
                    if (!open) {
                        known.push_back(
                            {record.identity.index, content, memory_->copy(state.reply)});
                        continue;
                    }
                    record.token = token;
                    record.began = std::max(began, state.since);
                    record.keys.clear();
                    bson_iter_t one;
                    const auto* const op = record.identity.operation;
                    if (has_keys && op != nullptr && bson_iter_recurse(&keys, &one)) {
                        std::size_t i = 0;
                        while (bson_iter_next(&one)) {
                            const auto& key = op->target->key;
                            auto& cell = record.keys.emplace_back();
                            if (!read_value(one, op->target->fields[key[i++ % key.size()]].type,
                                            *memory_, cell)) {
                                record.keys.clear();
                                break;
                            }
                            cell.text = memory_->copy(cell.text);
                        }
                    }
                }
                return true;
            });
        }
        if (how == ending::refused) {
            return inbox_failed(error_);
        }
        if (how != ending::answered) {
            return is_late() ? step_result::expired : step_result::broken;
        }
    }
    return step_result::done;
}

// ---- intents

void mongodb_session::append_intent(const write_record& record, std::size_t position) {
    command_.begin_document(element_name{position});
    append_inbox_id(record.identity.principal, record.identity.id);
    command_.binary("c", 0, text(bytes_of(record.identity.content)));
    command_.object_id("k", record.token.bytes);
    command_.date("t", record.began.count());
    const auto* const op = record.identity.operation;
    if (op != nullptr && op->op == core::verb::insert && is_generated(*op->target)) {
        const auto start = command_.position();
        command_.begin_array("w");
        std::size_t i = 0;
        bool all = true;
        for (const auto& row : op->rows) {
            for (const auto field : op->target->key) {
                const auto* const given = given_value(row, field);
                all = all && given != nullptr &&
                      !append_field(command_, element_name{i++}, *given, *op->target, field,
                                    *memory_);
            }
        }
        if (all) {
            command_.end();
        } else {
            command_.abandon(start); // the insert itself will say what is wrong
        }
    }
    command_.end();
}

step_result mongodb_session::write_intents() {
    std::vector<write_record*> fresh;
    for (auto& record : records_) {
        if (record.stage == write_record::progress::fresh) {
            fresh.push_back(&record);
        }
    }
    if (fresh.empty()) {
        return step_result::done;
    }
    const auto now = server_now();
    const auto left_alone = [&](std::span<write_record* const> which) {
        for (const auto* one : which) {
            if (orphans_.size() < most_left_over) {
                orphans_.push_back({std::string{one->identity.principal},
                                    std::string{one->identity.id}, one->token});
            }
        }
    };
    bool surprise = false;
    for (std::size_t first = 0; first < fresh.size();) {
        begin_inbox("insert", aim::write);
        command_.boolean("ordered", 0);
        command_.begin_array("documents");
        std::size_t count = 0;
        for (; first + count < fresh.size() && count < std::min(ids_at_once, most_writes_);
             ++count) {
            if (command_.position() > full_command) {
                break;
            }
            auto& record = *fresh[first + count];
            record.began = now;
            record.token = write_token::make(now);
            record.owner = record.token;
            append_intent(record, count);
        }
        command_.end();
        const auto chunk = std::span{fresh}.subspan(first, count);
        const auto how = execute(aim::write);
        if (how == ending::refused) {
            left_alone(chunk);
            return inbox_failed(error_);
        }
        if (how != ending::answered) {
            if (how == ending::lost) {
                left_alone(chunk);
            }
            return is_late() ? step_result::expired : step_result::broken;
        }
        const auto answer = read_answer();
        for (const auto& [position, error] : answer.errors) {
            if (error.code != duplicate) {
                left_alone(chunk);
                return inbox_failed(error);
            }
        }
        for (std::size_t i = 0; i < chunk.size(); ++i) {
            if (answer.errors.count(i) == 0) {
                chunk[i]->stage = write_record::progress::ready;
            } else {
                surprise = true;
            }
        }
        if (answer.concern_failed) {
            log(observe::level::warning, "BEDS_MONGODB_INBOX",
                "intents were not written to as many servers as they should be");
            left_alone(chunk);
            close();
            return step_result::broken;
        }
        first += count;
    }
    return surprise ? step_result::known_id : step_result::done;
}

step_result mongodb_session::take_over() {
    std::vector<write_record*> doubtful;
    for (auto& record : records_) {
        if (record.stage == write_record::progress::doubtful && !record.owned) {
            doubtful.push_back(&record);
        }
    }
    if (doubtful.empty()) {
        return step_result::done;
    }
    const auto now = server_now();
    taker_ = write_token::make(now);
    for (std::size_t first = 0; first < doubtful.size();) {
        const auto count = std::min(std::min(ids_at_once, most_writes_), doubtful.size() - first);
        begin_inbox("update", aim::write);
        command_.boolean("ordered", 0);
        command_.begin_array("updates");
        for (std::size_t i = 0; i < count; ++i) {
            const auto& record = *doubtful[first + i];
            command_.begin_document(element_name{i});
            begin_event(record.identity.principal, record.identity.id, record.owner);
            command_.object_id("o", taker_.bytes);
            command_.date("t", now.count());
            end_event();
            command_.end();
        }
        command_.end();
        const auto how = execute(aim::write);
        if (how == ending::refused) {
            return inbox_failed(error_);
        }
        if (how != ending::answered) {
            return is_late() ? step_result::expired : step_result::broken;
        }
        const auto answer = read_answer();
        if (!answer.errors.empty()) {
            return inbox_failed(answer.errors.begin()->second);
        }
        if (answer.matched < count || answer.concern_failed) {
            return step_result::known_id;
        }
        first += count;
    }
    // It may have been ended or taken over at this moment.
    std::vector<stored_reply> ended;
    const auto looked = look_up(doubtful, ended);
    if (looked != step_result::done) {
        return looked;
    }
    for (auto* record : doubtful) {
        if (record->stage != write_record::progress::doubtful || !(record->owner == taker_)) {
            return step_result::known_id;
        }
        record->owned = true;
    }
    return step_result::done;
}

// ---- what documents say

mongodb_session::ending mongodb_session::look_at(run_scope& scope, const bound_operation& like,
                                                 std::span<const wanted_key> wanted,
                                                 std::vector<evidence>& found) {
    found.assign(wanted.size(), evidence::no_document);
    const auto& target = *like.target;
    std::vector<std::size_t> order(wanted.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
        order[i] = i;
    }
    std::sort(order.begin(), order.end(), [&](std::size_t left, std::size_t right) {
        return less_key(wanted[left].key, wanted[right].key);
    });
    std::vector<bound_operation> asked(order.size());
    std::vector<const bound_operation*> all;
    for (std::size_t i = 0; i < order.size(); ++i) {
        asked[i].target = &target;
        asked[i].key = wanted[order[i]].key;
        all.push_back(&asked[i]);
    }
    for (std::size_t first = 0; first < order.size();) {
        const operation_list left = std::span{all}.subspan(first);
        const auto chunk = left.first(may_share(left, ids_at_once));
        first += chunk.size();
        begin_command("find", target.object, like, aim::read);
        command_.begin_document("filter");
        if (append_keys(command_, chunk, scope.memory)) {
            return ending::refused;
        }
        command_.end();
        command_.begin_document("projection");
        bool id = false;
        for (const auto field : target.key) {
            id = id || target.fields[field].column == "_id";
            command_.int32(target.fields[field].column, 1);
        }
        if (!id) {
            command_.int32("_id", 0);
        }
        command_.int32(ring_member, 1);
        command_.end();
        command_.int32("batchSize", static_cast<std::int32_t>(chunk.size() + 1));
        auto how = execute(aim::write); // of the primary
        if (how == ending::answered) {
            how = each_document(aim::write, [&](const bson_iter_t& document) {
                if (read_row(document, target, target.key, cells_)) {
                    return true;
                }
                const std::span<const value> key{cells_};
                auto at = std::lower_bound(order.begin(), order.end(), key,
                                           [&](std::size_t position, const auto& given) {
                                               return less_key(wanted[position].key, given);
                                           });
                bson_iter_t ring;
                const bool has_ring = bson_iter_recurse(&document, &ring) &&
                                      bson_iter_find(&ring, ring_member.data());
                for (; at != order.end() && !less_key(key, wanted[*at].key); ++at) {
                    found[*at] = wanted[*at].token == nullptr
                                     ? evidence::lost
                                     : read_ring(has_ring ? &ring : nullptr, *wanted[*at].token);
                }
                return true;
            });
        }
        if (how != ending::answered) {
            return how;
        }
    }
    return ending::answered;
}

mongodb_session::ending mongodb_session::look_at(run_scope& scope, operation_list ops,
                                                 std::vector<evidence>& found) {
    if (ops.empty()) {
        found.clear();
        return ending::answered;
    }
    std::vector<wanted_key> wanted;
    for (const auto* op : ops) {
        const auto* const record = tracked(*op);
        wanted.push_back({op->key, record == nullptr ? nullptr : &record->token});
    }
    return look_at(scope, *ops.front(), wanted, found);
}

step_result mongodb_session::settle(run_scope& scope, operation_list ops,
                                    std::vector<const bound_operation*>& rest) {
    std::vector<const bound_operation*> unclear;
    for (const auto* op : ops) {
        (is_doubtful(*op) ? unclear : rest).push_back(op);
    }
    if (unclear.empty()) {
        return step_result::done;
    }
    std::vector<evidence> found;
    ending how = ending::answered;
    if (unclear.front()->op != core::verb::insert) {
        how = look_at(scope, unclear, found);
    } else {
        for (const auto* op : unclear) {
            const auto& record = *tracked(*op);
            const auto width = op->target->key.size();
            std::vector<value> keys = record.keys;
            if (keys.empty()) {
                for (const auto& row : op->rows) {
                    for (const auto field : op->target->key) {
                        const auto* const given = given_value(row, field);
                        keys.push_back(given == nullptr ? value::of_null() : *given);
                    }
                }
            }
            std::vector<wanted_key> wanted;
            for (std::size_t i = 0; i + width <= keys.size(); i += width) {
                wanted.push_back({std::span{keys}.subspan(i, width), &record.token});
            }
            std::vector<evidence> rows;
            how = look_at(scope, *op, wanted, rows);
            if (how != ending::answered) {
                break;
            }
            found.push_back(rows.size() == op->rows.size() ? together(rows) : evidence::lost);
        }
    }
    if (how == ending::refused) {
        for (const auto* op : unclear) {
            scope.results[op->index] = failure(scope, *op, error_, core::effect::unknown);
        }
        return step_result::done;
    }
    if (how != ending::answered) {
        return is_late() ? step_result::expired : step_result::broken;
    }
    for (std::size_t i = 0; i < unclear.size(); ++i) {
        const auto& op = *unclear[i];
        switch (mongodb::settle(kind_of(op), found[i])) {
        case verdict::run:
            rest.push_back(&op);
            break;
        case verdict::unknown:
            stays_unknown(scope, op);
            break;
        case verdict::applied:
            touched_ = true;
            if (op.op == core::verb::insert) {
                inserted(scope, op);
            } else {
                scope.rows.count(op.index, 1);
                scope.results[op.index] = written(op);
            }
            break;
        }
    }
    return step_result::done;
}

void mongodb_session::append_unmarked(const bound_operation& op) {
    if (const auto* const record = tracked(op)) {
        command_.begin_document(ring_member);
        command_.object_id("$ne", record->token.bytes);
        command_.end();
    }
}

void mongodb_session::append_marked(const bound_operation& op) {
    if (const auto* const record = tracked(op)) {
        command_.object_id(ring_member, record->token.bytes);
    }
}

void mongodb_session::append_mark(const bound_operation& op) {
    if (const auto* const record = tracked(op)) {
        command_.begin_document("$push");
        command_.begin_document(ring_member);
        command_.begin_array("$each");
        command_.object_id("0", record->token.bytes);
        command_.end();
        command_.int32("$slice", -ring_size);
        command_.end();
        command_.end();
    }
}

// ---- replies

step_result mongodb_session::seal(std::span<const sealed_reply> replies) {
    if (!shared_->inbox() || replies.empty() || records_.empty()) {
        return step_result::done;
    }
    return store(replies);
}

step_result mongodb_session::store(std::span<const sealed_reply> replies) {
    const auto keep_for_later = [&](std::span<const sealed_reply> which) {
        constexpr std::size_t most_kept = 64 * 1024;
        for (const auto& one : which) {
            const auto* const record = record_of(one.identity.index);
            if (record != nullptr && late_.size() < most_left_over &&
                one.reply.size() <= most_kept) {
                late_.push_back({{std::string{one.identity.principal}, std::string{one.identity.id},
                                  record->token},
                                 record->owner,
                                 std::string{one.reply}});
            }
        }
    };
    for (std::size_t first = 0; first < replies.size();) {
        begin_inbox("update", aim::write);
        command_.boolean("ordered", 0);
        command_.begin_array("updates");
        std::size_t count = 0;
        std::size_t updates = 0;
        for (; first + count < replies.size() && updates < std::min(ids_at_once, most_writes_);
             ++count) {
            const auto* const given = &replies[first + count];
            const auto* const record = record_of(given->identity.index);
            if (record == nullptr || record->stage == write_record::progress::fresh) {
                continue; // it never came to a write
            }
            const auto* const reply = given->reply.size() <= longest_reply
                                          ? given
                                          : short_reply(*given, results_, *memory_);
            if (updates > 0 && command_.position() + reply->reply.size() > full_command) {
                break;
            }
            command_.begin_document(element_name{updates++});
            begin_event(record->identity.principal, record->identity.id, record->owner);
            command_.binary("r", 0, reply->reply);
            end_event();
            command_.end();
        }
        command_.end();
        const auto chunk = replies.subspan(first, count);
        first += count;
        if (updates == 0) {
            continue;
        }
        const auto how = execute(aim::write);
        if (how == ending::refused) {
            return inbox_failed(error_);
        }
        if (how != ending::answered) {
            keep_for_later(replies.subspan(first - count));
            return is_late() ? step_result::expired : step_result::broken;
        }
        const auto answer = read_answer();
        if (!answer.errors.empty()) {
            return inbox_failed(answer.errors.begin()->second);
        }
        if (answer.matched < updates) {
            return step_result::known_id; // gone; the window is shorter than this took
        }
        if (const auto whose = look_whose(chunk); whose != step_result::done) {
            return whose;
        }
        for (const auto& one : chunk) {
            if (auto* const record = record_of(one.identity.index)) {
                record->sealed = true;
            }
        }
        if (answer.concern_failed) {
            log(observe::level::warning, "BEDS_MONGODB_INBOX",
                "replies were not written to as many servers as they should be");
        }
    }
    return step_result::done;
}

step_result mongodb_session::look_whose(std::span<const sealed_reply> replies) {
    // Nobody takes over what is younger than this by all clocks.
    constexpr auto certainly_ours = patience * 3 / 4;
    const auto now = server_now();
    std::vector<write_record*> asked;
    std::vector<write_record> before;
    for (const auto& one : replies) {
        auto* const record = record_of(one.identity.index);
        if (record != nullptr && record->stage != write_record::progress::fresh &&
            now - record->began > certainly_ours) {
            asked.push_back(record);
            before.push_back(*record);
        }
    }
    if (asked.empty()) {
        return step_result::done;
    }
    std::vector<stored_reply> found;
    const auto looked = look_up(asked, found);
    bool ours = true;
    for (std::size_t i = 0; i < asked.size(); ++i) {
        ours = ours && asked[i]->owner == before[i].owner;
        *asked[i] = before[i];
    }
    if (looked != step_result::done) {
        return looked;
    }
    return ours && found.size() == asked.size() ? step_result::done : step_result::known_id;
}

// ---- the end of a unit

mongodb_session::ending mongodb_session::delete_intents(std::span<const orphan> of) {
    for (std::size_t first = 0; first < of.size();) {
        const auto count = std::min(std::min(ids_at_once, most_writes_), of.size() - first);
        begin_inbox("delete", aim::write);
        command_.boolean("ordered", 0);
        command_.begin_array("deletes");
        for (std::size_t i = 0; i < count; ++i) {
            const auto& one = of[first + i];
            command_.begin_document(element_name{i});
            command_.begin_document("q");
            append_inbox_id(one.principal, one.id);
            command_.object_id("k", one.token.bytes);
            command_.null("e"); // also: not there
            command_.end();
            command_.int32("limit", 1);
            command_.end();
        }
        command_.end();
        const auto how = execute(aim::write);
        if (how != ending::answered) {
            return how;
        }
        first += count;
    }
    return ending::answered;
}

void mongodb_session::close_unit() {
    if (records_.empty()) {
        return;
    }
    std::vector<orphan> unused;
    own_.clear();
    for (const auto& record : records_) {
        if (record.stage != write_record::progress::ready || record.sealed) {
            continue;
        }
        const auto index = record.identity.index;
        const bool nothing_done = !record.sent || (index < results_.size() &&
                                                   results_[index].effect == core::effect::none);
        if (nothing_done) {
            unused.push_back({std::string{record.identity.principal},
                              std::string{record.identity.id}, record.token});
        } else {
            own_.push_back(record.token);
        }
    }
    records_.clear();
    record_of_.clear();
    results_ = {};
    if (unused.empty()) {
        return;
    }
    if (!client_ || delete_intents(unused) != ending::answered) {
        for (auto& one : unused) {
            if (orphans_.size() < most_left_over) {
                orphans_.push_back(std::move(one));
            }
        }
    }
}

void mongodb_session::clear_away() {
    if (!orphans_.empty()) {
        const auto of = std::exchange(orphans_, {});
        const auto how = delete_intents(of);
        if (how == ending::not_sent || how == ending::lost) {
            orphans_ = of;
            return;
        }
    }
    while (!late_.empty()) {
        const auto& one = late_.back();
        begin_inbox("update", aim::write);
        command_.begin_array("updates");
        command_.begin_document("0");
        begin_event(one.of.principal, one.of.id, one.owner);
        command_.binary("r", 0, one.reply);
        end_event();
        command_.end();
        command_.end();
        const auto how = execute(aim::write);
        if (how == ending::not_sent || how == ending::lost) {
            return;
        }
        late_.pop_back();
    }
}

} // namespace beds::adapters::mongodb
