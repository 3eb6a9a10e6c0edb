#pragma once

#include <beds/core/arena.hpp>
#include <beds/factory/factory.hpp>
#include <beds/templates/registry.hpp>
#include <beds/wire/reply.hpp>
#include <beds/wire/request.hpp>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

/// Random batches that run together and one operation at a time must answer alike.
namespace beds::test {

/// What the engine under test has beside tables and keys.
struct batch_options {
    templates::engine store = templates::engine::rel;
    bool calls = false;      ///< `add` and `look` of template `things`
    bool collated = false;   ///< template `words`: its key's equality depends on a collation
    bool procedures = false; ///< template `vault` writes by procedures only
};

inline std::string batch_templates_text(const std::string& name, const batch_options& options) {
    const bool rec = options.store == templates::engine::rec;
    const std::string head = "[template]\nname = \"" + name + "\"\nobject = \"" + name +
                             "\"\nstore = \"" + (rec ? "rec" : "rel") + "\"\n";
    const std::string id = std::string{"id = { type = \"int64\", required = true"} +
                           (rec ? ", column = \"_id\" }\n" : " }\n");
    if (name == "things") {
        return head + "key = [\"id\"]\n[fields]\n" + id + R"toml(
owner = { type = "string", max = 20 }
value = { type = "int64", default = 0 }
small = { type = "int8" }
note  = { type = "string", max = 40 }
cost  = { type = "decimal(12,2)" }
seen  = { type = "datetime" }
[[index]]
fields = ["owner"]
[[index]]
fields = ["value"]
)toml" +
               (options.calls ? R"toml(
[calls.add]
procedure = "sp_add"
class     = "write"
args      = [["id", "int64"], ["by", "int64"], ["word", "string"]]
out       = [["now", "int64"], ["said", "string"]]
[calls.add.errors]
"45001"   = "TOO_LITTLE"
[calls.look]
procedure = "sp_look"
class     = "read"
args      = [["owner", "string"]]
[[calls.look.returns]]
name   = "summary"
fields = [["n", "int64"]]
[[calls.look.returns]]
name   = "lines"
fields = [["id", "int64"], ["value", "int64"]]
)toml"
                              : "");
    }
    if (name == "pairs") {
        return head + R"toml(key = ["a", "b"]
[fields]
a     = { type = "int32", required = true }
b     = { type = "string", max = 20, required = true }
value = { type = "int64", default = 0 }
note  = { type = "string", max = 40 }
)toml";
    }
    if (name == "words") {
        return head + R"toml(key = ["word"]
[fields]
word  = { type = "string", max = 40, required = true, collation = "utf8mb4_general_ci" }
value = { type = "int64", default = 0 }
)toml";
    }
    return head + "key = [\"id\"]\n[fields]\n" + id + R"toml(
value = { type = "int64", default = 0 }
note  = { type = "string", max = 40 }
[write]
insert = "sp_vault_insert"
update = "sp_vault_update"
delete = "sp_vault_delete"
)toml";
}

inline std::vector<std::string> batch_names(const batch_options& options) {
    std::vector<std::string> names{"things", "pairs"};
    if (options.collated) {
        names.emplace_back("words");
    }
    if (options.procedures) {
        names.emplace_back("vault");
    }
    return names;
}

inline std::shared_ptr<const templates::registry> batch_registry(const std::string& connection,
                                                                 const batch_options& options) {
    std::vector<templates::template_def> all;
    for (const auto& name : batch_names(options)) {
        auto text = batch_templates_text(name, options);
        text.insert(text.find("object"), "connection = \"" + connection + "\"\n");
        auto parsed = templates::parse(text, {}, name + ".toml");
        if (!parsed.problems.empty()) {
            throw std::runtime_error(templates::to_string(parsed.problems.front()));
        }
        all.push_back(std::move(*parsed.parsed));
    }
    return std::make_shared<const templates::registry>(std::move(all));
}

struct random_message {
    std::string id;
    std::string mode;
    std::vector<std::string> operations; ///< JSON without the braces
};

/// Makes operations of one message. Messages have keys and owners of their own: between messages no
/// order is promised. Inside of one they meet on few keys.
class random_operations {
public:
    random_operations(std::mt19937_64& random, const batch_options& options, unsigned message)
        : random_(random), options_(options), message_(message),
          owner_("\"own" + std::to_string(message) + '"'),
          where_("\"where\":{\"owner\":" + owner_ + "}") {}

    std::string any() {
        const auto kind = below(20);
        if (kind < 2 && options_.procedures) {
            return on("vault", write_vault());
        }
        if (kind < 4 && options_.collated) {
            return on("words", below(3) == 0 ? "\"op\":\"fetch\",\"key\":" + word() : write_word());
        }
        if (kind < 8) {
            return on("pairs", below(3) == 0 ? "\"op\":\"fetch\",\"key\":" + pair() : write_pair());
        }
        if (kind < 10 && options_.calls) {
            return below(4) == 0 ? read() : on("things", add());
        }
        return below(3) == 0 ? read() : on("things", write());
    }

    /// One that does not write.
    std::string read() {
        switch (below(9)) {
        case 0:
            return on("things", "\"op\":\"find\"," + where_ + ",\"sort\":[\"id\"]");
        case 1:
            return on("things", "\"op\":\"find\",\"where\":{\"owner\":" + owner_ +
                                    ",\"value\":{\"ge\":" + number() +
                                    "}},\"sort\":[\"-value\"],\"limit\":2");
        case 2:
            return on("things", "\"op\":\"find\",\"where\":{\"owner\":" + owner_ +
                                    ",\"value\":{\"in\":[" + number() + "," + number() +
                                    "]}},\"fields\":[\"note\"],\"sort\":[\"id\"]");
        case 3:
            return on("things", "\"op\":\"count\",\"where\":{\"owner\":" + owner_ +
                                    ",\"value\":" + number() + "}");
        case 4:
            return on("things", "\"op\":\"exists\",\"where\":{\"owner\":" + owner_ +
                                    ",\"value\":" + number() + "}");
        case 5:
            return on("pairs", "\"op\":\"fetch\",\"key\":" + pair());
        case 6:
            return options_.collated ? on("words", "\"op\":\"fetch\",\"key\":" + word()) : read();
        case 7:
            return options_.calls ? on("things", "\"op\":\"call\",\"name\":\"look\",\"args\":{"
                                                 "\"owner\":" +
                                                     (below(9) == 0 ? "\"bad\"" : owner_) + "}")
                                  : read();
        default:
            return on("things", "\"op\":\"fetch\",\"key\":" + key());
        }
    }

private:
    unsigned below(unsigned n) { return static_cast<unsigned>(random_() % n); }
    std::string number() { return std::to_string(below(7)); }
    std::string key() { return std::to_string(message_ * 100 + below(8)); }
    std::string pair() {
        return "{\"a\":" + std::to_string(message_) + ",\"b\":\"" + std::string(1 + below(2), 'x') +
               std::to_string(below(3)) + "\"}";
    }
    std::string word() {
        static constexpr const char* spellings[]{"Ab", "ab", "aB ", "c", "C", "\xC3\xA9", "E"};
        return "\"" + std::to_string(message_) + spellings[below(7)] + '"';
    }
    static std::string on(const std::string& name, const std::string& op) {
        return "\"template\":\"" + name + "\"," + op;
    }
    std::string step() { return std::to_string(static_cast<int>(below(9)) - 4); }

    std::string add() {
        return "\"op\":\"call\",\"name\":\"add\",\"args\":{\"id\":" + key() + ",\"by\":" + step() +
               ",\"word\":" + (below(5) == 0 ? "null" : "\"w\xC3\xB6" + number() + '"') + "}";
    }
    std::string write_pair() {
        switch (below(6)) {
        case 0:
        case 1: {
            auto both = pair();
            both.pop_back();
            return "\"op\":\"insert\",\"data\":" + both + ",\"value\":" + number() + "}";
        }
        case 2:
            return "\"op\":\"update\",\"key\":" + pair() + ",\"set\":{\"value\":" + number() +
                   "},\"if\":{\"value\":" + number() + "}";
        case 3:
            return "\"op\":\"delete\",\"key\":" + pair() + ",\"if\":{\"note\":null}";
        case 4:
            return "\"op\":\"delete\",\"key\":" + pair();
        default:
            return "\"op\":\"update\",\"key\":" + pair() + ",\"set\":{\"note\":\"p" + number() +
                   "\"},\"inc\":{\"value\":" + step() + "}";
        }
    }
    std::string write_word() {
        switch (below(4)) {
        case 0:
        case 1:
            return "\"op\":\"insert\",\"data\":{\"word\":" + word() + ",\"value\":" + number() +
                   "}";
        case 2:
            return "\"op\":\"delete\",\"key\":" + word();
        default:
            return "\"op\":\"update\",\"key\":" + word() + ",\"inc\":{\"value\":" + step() + "}";
        }
    }
    std::string row() {
        return "{\"id\":" + key() + ",\"owner\":" + owner_ + ",\"value\":" + number() +
               ",\"small\":" + std::to_string(100 + 4 * below(8)) +
               (below(2) == 0 ? ",\"cost\":\"" + number() + ".5\"}" : "}");
    }
    std::string write_vault() {
        switch (below(5)) {
        case 0:
        case 1:
            return "\"op\":\"insert\",\"data\":{\"id\":" + key() + ",\"value\":" + number() + "}";
        case 2:
            return "\"op\":\"delete\",\"key\":" + key();
        default:
            return "\"op\":\"update\",\"key\":" + key() + ",\"set\":{\"value\":" + step() + "}";
        }
    }
    std::string write() {
        switch (below(15)) {
        case 0:
        case 1:
        case 2:
            return "\"op\":\"insert\",\"data\":" + row();
        case 3:
        case 4:
            return "\"op\":\"insert\",\"data\":[" + row() + "," + row() + "]";
        case 5:
            return "\"op\":\"update\",\"key\":" + key() + ",\"inc\":{\"value\":" + step() + "}";
        case 6:
            return "\"op\":\"update\",\"key\":" + key() + ",\"inc\":{\"small\":" + step() + "}";
        case 7:
            return "\"op\":\"update\",\"key\":" + key() +
                   ",\"set\":{\"note\":" + (below(3) == 0 ? "null" : "\"n" + number() + '"') +
                   ",\"cost\":\"-" + number() + ".25\",\"seen\":\"2026-02-0" +
                   std::to_string(1 + below(7)) + "T01:02:03.5Z\"}";
        case 8:
            return "\"op\":\"update\",\"key\":" + key() + ",\"set\":{\"value\":" + number() +
                   "},\"if\":{\"value\":" + number() + "}";
        case 9:
            return "\"op\":\"update\",\"key\":" + key() +
                   ",\"set\":{\"note\":\"seen\"},\"if\":{\"cost\":" +
                   (below(2) == 0 ? "null" : "\"" + number() + ".50\"") +
                   ",\"note\":" + (below(2) == 0 ? "null" : "\"n" + number() + '"') + "}";
        case 10:
            return below(2) == 0 ? "\"op\":\"update\"," + where_ + ",\"inc\":{\"value\":1}"
                                 : "\"op\":\"delete\"," + where_;
        case 11:
            return "\"op\":\"delete\",\"key\":" + key();
        case 12:
            return "\"op\":\"delete\",\"key\":" + key() + ",\"if\":{\"value\":" + number() + "}";
        case 13:
            return "\"op\":\"update\",\"key\":" + key() + ",\"set\":{\"valeu\":1}"; // no such field
        default:
            return "\"op\":\"fetch\",\"key\":" + key();
        }
    }

    std::mt19937_64& random_;
    const batch_options& options_;
    unsigned message_;
    std::string owner_;
    std::string where_;
};

/// `reads`: nothing but reads, which makes larger groups of one shape.
inline std::vector<random_message> random_batch(std::mt19937_64& random,
                                                const batch_options& options, bool reads) {
    const auto below = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
    std::vector<random_message> batch(1 + below(6));
    for (unsigned m = 0; m < batch.size(); ++m) {
        auto& message = batch[m];
        message.id = "m" + std::to_string(m);
        const auto mode = below(8);
        message.mode = mode == 0 ? "atomic" : mode == 1 ? "sequence" : "each";
        random_operations make{random, options, m};
        for (unsigned i = 0, count = 1 + below(reads ? 25 : 16); i < count; ++i) {
            message.operations.push_back(reads ? make.read() : make.any());
        }
    }
    return batch;
}

/// A writer of replies that remembers what the cursors hold: no two of them look the same.
class cursor_noting_sink final : public core::result_sink {
public:
    explicit cursor_noting_sink(wire::reply_writer& writer) : writer_(&writer) {}

    void start(std::size_t operations) {
        writer_->start(operations);
        notes_.clear();
    }
    /// The reply with tag and position in place of the cursor.
    [[nodiscard]] std::string readable(core::op_index op, std::string reply) const {
        constexpr std::string_view member = R"("next":")";
        if (const auto at = reply.find(member); at != std::string::npos) {
            const auto begin = at + member.size();
            const auto noted = notes_.find(op);
            reply.replace(begin, reply.find('"', begin) - begin,
                          noted == notes_.end() ? "nobody said so" : noted->second);
        }
        return reply;
    }

    void reset(core::op_index op) override {
        notes_.erase(op);
        writer_->reset(op);
    }
    void next(core::op_index op, std::uint64_t tag,
              std::span<const core::value> position) override {
        auto& note = notes_[op] = std::to_string(tag);
        for (const auto& part : position) {
            note += ' ' + std::to_string(static_cast<int>(part.type)) + ':';
            note += part.text.empty() && !part.is_null() ? std::to_string(part.integer)
                                                         : std::string{part.text};
        }
        writer_->next(op, tag, position);
    }
    void begin_row(core::op_index op, const core::row_layout& layout) override {
        writer_->begin_row(op, layout);
    }
    void cell(const core::value& given) override { writer_->cell(given); }
    void end_row() override { writer_->end_row(); }
    void share_rows(core::op_index from, core::op_index to) override {
        writer_->share_rows(from, to);
    }
    void no_rows(core::op_index op) override { writer_->no_rows(op); }
    void total(core::op_index op, std::uint64_t total) override { writer_->total(op, total); }
    void exists(core::op_index op, bool exists) override { writer_->exists(op, exists); }
    void count(core::op_index op, std::uint64_t count) override { writer_->count(op, count); }
    void key(core::op_index op, const core::row_layout& layout,
             std::span<const core::value> key) override {
        writer_->key(op, layout, key);
    }
    void begin_set(core::op_index op, std::string_view name) override {
        writer_->begin_set(op, name);
    }
    void out(core::op_index op, const core::row_layout& layout,
             std::span<const core::value> values) override {
        writer_->out(op, layout, values);
    }
    std::string_view encode(core::op_index op, const core::outcome& result,
                            core::arena& memory) override {
        return writer_->encode(op, result, memory);
    }
    void stored(core::op_index op, std::string_view reply) override { writer_->stored(op, reply); }
    void raw(core::op_index op, std::string_view json_members) override {
        writer_->raw(op, json_members);
    }

private:
    wire::reply_writer* writer_;
    std::map<core::op_index, std::string> notes_;
};

/// Runs messages as one batch; returns the result of each operation, as it would be on the wire.
class batch_runner {
public:
    batch_runner(std::shared_ptr<adapters::adapter> adapter, const batch_options& options)
        : options_(options), work_(batch_registry(adapter->connection_name(), options), {adapter},
                                   adapter->connection_name(), [] {
                                       adapters::session_context context;
                                       context.name = "batches";
                                       return context;
                                   }()) {
        // Which procedures commit by themselves is known once the database was seen.
        static_cast<void>(work_.ensure_session(core::deadline::after(std::chrono::seconds{5})));
    }

    std::vector<std::string> run(const std::vector<random_message>& batch) {
        memory_.reset();
        std::vector<std::string> bodies;
        std::vector<factory::message> messages;
        bodies.reserve(batch.size());
        for (const auto& from : batch) {
            auto& body = bodies.emplace_back("{\"v\":1,\"mode\":\"" + from.mode + "\",\"ops\":[");
            for (std::size_t i = 0; i < from.operations.size(); ++i) {
                body += (i == 0 ? "{" : ",{") + from.operations[i] + "}";
            }
            body += "]}";
            auto& message = messages.emplace_back();
            if (const auto refused = decoder_.decode(body, memory_, message.request)) {
                throw std::runtime_error(std::string{refused->detail} + ": " + body);
            }
            message.request.message_id = from.id;
            message.request.principal = "tester";
        }
        sink_.start(factory::factory::count(messages));
        work_.run(messages, sink_, memory_, counters_);
        std::vector<std::string> results;
        for (const auto& message : messages) {
            for (std::size_t i = 0; i < message.results.size(); ++i) {
                const auto op = message.first + static_cast<core::op_index>(i);
                std::string text;
                writer_.append_reply(text, {}, false, op, message.results.subspan(i, 1));
                results.push_back(sink_.readable(op, std::move(text)));
            }
        }
        return results;
    }

    /// `each` operation by operation, each with the id that it has inside of its message.
    std::vector<std::string> run_apart(const std::vector<random_message>& batch) {
        std::vector<std::string> results;
        for (const auto& message : batch) {
            if (message.mode != "each") {
                for (auto& one : run({message})) {
                    results.push_back(std::move(one));
                }
                continue;
            }
            for (std::size_t i = 0; i < message.operations.size(); ++i) {
                results.push_back(
                    run({{message.id + "." + std::to_string(i), "each", {message.operations[i]}}})
                        .front());
            }
        }
        return results;
    }

    std::string contents() {
        std::string all;
        for (const auto& name : batch_names(options_)) {
            all +=
                run({{"end", "each", {"\"template\":\"" + name + "\",\"op\":\"find\""}}}).front() +
                '\n';
        }
        return all;
    }

private:
    batch_options options_;
    factory::factory work_;
    wire::request_decoder decoder_;
    wire::reply_writer writer_;
    cursor_noting_sink sink_{writer_};
    core::arena memory_;
    observe::live_counters counters_;
};

/// A new one each time; BEDS_TEST_SEED repeats a failure.
inline std::uint64_t first_seed() {
    const char* given = std::getenv("BEDS_TEST_SEED");
    return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
}

struct batch_difference {
    std::string text; ///< empty: none
};

/// `fresh` gives an engine without rows and without inbox.
inline batch_difference
compare_batch(std::uint64_t seed, const std::function<std::shared_ptr<adapters::adapter>()>& fresh,
              const batch_options& options = {}) {
    std::mt19937_64 random{seed};
    std::vector<std::vector<random_message>> batches;
    batches.push_back(random_batch(random, options, false));
    batches.push_back(random_batch(random, options, false)); // meets the rows of the first
    batches.push_back(random_batch(random, options, true));
    for (std::size_t i = 1; i < batches.size(); ++i) {
        for (auto& one : batches[i]) {
            one.id += static_cast<char>('a' + i);
        }
    }
    std::vector<std::string> together;
    std::vector<std::string> apart;
    std::string contents[2];
    for (const bool all : {true, false}) {
        batch_runner runner{fresh(), options};
        for (const auto& batch : batches) {
            for (auto& one : all ? runner.run(batch) : runner.run_apart(batch)) {
                (all ? together : apart).push_back(std::move(one));
            }
        }
        contents[all ? 0 : 1] = runner.contents();
    }
    std::string text;
    std::size_t at = 0;
    for (const auto& batch : batches) {
        for (const auto& message : batch) {
            for (const auto& op : message.operations) {
                const bool same = together.at(at) == apart.at(at);
                text += std::string{same ? "  " : "! "} + message.id + " " + message.mode + " " +
                        op + "\n";
                if (!same) {
                    text += "    together " + together[at] + "\n    apart    " + apart[at] + "\n";
                }
                ++at;
            }
        }
    }
    if (together == apart && contents[0] == contents[1]) {
        return {};
    }
    return {text + "contents together " + contents[0] + "\ncontents apart    " + contents[1]};
}

} // namespace beds::test
