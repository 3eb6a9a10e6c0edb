#include "support/catch.hpp"

#include <beds/adapters/adapter.hpp>
#include <beds/factory/factory.hpp>
#include <beds/wire/reply.hpp>
#include <beds/wire/request.hpp>

#include <algorithm>

using namespace beds;
using adapters::step_result;

namespace {

/// What happened to the units of work of its sessions.
struct unit_book {
    int begun = 0;
    bool open = false;
};

/// Its connection breaks whenever a unit has begun, or while it begins.
class breaking_session : public adapters::session {
public:
    breaking_session(unit_book& book, step_result beginning) : book_(book), beginning_(beginning) {}

    void connect(core::deadline) override { connected_ = true; }
    bool usable() const override { return connected_; }
    bool alive(core::deadline) override { return connected_; }
    step_result begin(adapters::work_kind, core::deadline,
                      std::span<const adapters::operation_identity>, adapters::lookup, core::arena&,
                      std::vector<adapters::stored_reply>&) override {
        ++book_.begun;
        book_.open = true;
        connected_ = beginning_ == step_result::done;
        return beginning_;
    }
    step_result run(const adapters::group&, core::row_sink&, adapters::outcomes,
                    core::arena&) override {
        connected_ = false;
        return step_result::broken;
    }
    step_result seal(std::span<const adapters::sealed_reply>) override {
        return step_result::broken;
    }
    adapters::commit_result commit() override {
        book_.open = false;
        return adapters::commit_result::none;
    }
    void rollback() override { book_.open = false; }

private:
    unit_book& book_;
    step_result beginning_;
    bool connected_ = false;
};

class breaking_adapter : public adapters::adapter {
public:
    breaking_adapter(unit_book& book, adapters::capabilities can, step_result beginning,
                     bool alone = false)
        : book_(book), can_(can), beginning_(beginning), alone_(alone) {}

    std::string_view engine_name() const override { return "breaking"; }
    const std::string& connection_name() const override { return name_; }
    adapters::capabilities can() const override { return can_; }
    std::unique_ptr<adapters::session> open_session(adapters::session_context) override {
        return std::make_unique<breaking_session>(book_, beginning_);
    }
    std::vector<std::string> check(const templates::template_def&) const override { return {}; }
    bool runs_alone(const templates::template_def&, core::verb,
                    const templates::call*) const override {
        return alone_;
    }
    void inspect(adapters::session&, std::span<const templates::template_def* const>,
                 core::deadline) override {}

private:
    unit_book& book_;
    adapters::capabilities can_;
    step_result beginning_;
    bool alone_;
    std::string name_ = "mem";
};

} // namespace

TEST_CASE("every unit ends within its batch, also when its session broke") {
    // A session may keep views of the batch until then.
    const auto parsed = templates::parse(
        "[template]\nname = \"items\"\nconnection = \"mem\"\nstore = \"rel\"\nobject = \"items\"\n"
        "key = [\"id\"]\n[fields]\nid = { type = \"int64\", required = true }\n");
    REQUIRE(parsed.parsed);
    const auto registry = std::make_shared<const templates::registry>(std::vector{*parsed.parsed});
    for (const bool transactions : {true, false}) {
        for (const auto beginning : {step_result::done, step_result::broken}) {
            INFO("transactions " << transactions << ", broken at its beginning "
                                 << (beginning == step_result::broken));
            unit_book book;
            factory::factory work{
                registry,
                {std::make_shared<breaking_adapter>(
                    book, adapters::capabilities{.transactions = transactions, .inbox = true},
                    beginning)},
                "mem",
                {}};
            wire::request_decoder decoder;
            wire::reply_writer writer;
            core::arena memory;
            observe::live_counters counters;
            std::vector<factory::message> messages(1);
            REQUIRE_FALSE(
                decoder.decode(R"({"v":1,"template":"items","op":"insert","data":{"id":1}})",
                               memory, messages[0].request));
            messages[0].request.principal = "tester";
            messages[0].request.message_id = "message";
            writer.start(factory::factory::count(messages));
            work.run(messages, writer, memory, counters);
            CHECK(book.begun > 0);
            CHECK_FALSE(book.open);
            CHECK(messages[0].results[0].code == core::code::backend_unavailable);
        }
    }
}

namespace {

/// Loses its transaction to a deadlock whenever that holds more than one operation, or always.
class deadlocking_session : public adapters::session {
public:
    explicit deadlocking_session(bool always) : always_(always) {}

    void connect(core::deadline) override {}
    bool usable() const override { return true; }
    bool alive(core::deadline) override { return true; }
    step_result begin(adapters::work_kind, core::deadline,
                      std::span<const adapters::operation_identity> ids, adapters::lookup,
                      core::arena&, std::vector<adapters::stored_reply>&) override {
        size_ = ids.size();
        ran_.clear();
        return step_result::done;
    }
    step_result run(const adapters::group& work, core::row_sink&, adapters::outcomes results,
                    core::arena&) override {
        if (always_ || size_ > 1) {
            return step_result::rerun;
        }
        for (const auto* op : work.operations) {
            ran_.push_back(op->index);
            results[op->index] = core::outcome::applied();
        }
        return step_result::done;
    }
    step_result seal(std::span<const adapters::sealed_reply>) override { return step_result::done; }
    adapters::commit_result commit() override {
        committed.insert(committed.end(), ran_.begin(), ran_.end());
        return adapters::commit_result::applied;
    }
    void rollback() override {}

    std::vector<core::op_index> committed;

private:
    bool always_;
    std::size_t size_ = 0;
    std::vector<core::op_index> ran_;
};

class deadlocking_adapter : public breaking_adapter {
public:
    deadlocking_adapter(unit_book& book, bool always)
        : breaking_adapter(book, {.transactions = true, .inbox = true}, step_result::done),
          always_(always) {}
    std::unique_ptr<adapters::session> open_session(adapters::session_context) override {
        auto made = std::make_unique<deadlocking_session>(always_);
        session = made.get();
        return made;
    }
    deadlocking_session* session = nullptr;

private:
    bool always_;
};

} // namespace

TEST_CASE("operations that run into deadlocks together are run apart, until their deadlines") {
    const auto parsed = templates::parse(
        "[template]\nname = \"items\"\nconnection = \"mem\"\nstore = \"rel\"\nobject = \"items\"\n"
        "key = [\"id\"]\n[fields]\nid = { type = \"int64\", required = true }\n"
        "n = { type = \"int64\" }\n");
    REQUIRE(parsed.parsed);
    const auto registry = std::make_shared<const templates::registry>(std::vector{*parsed.parsed});
    const bool always = GENERATE(false, true);
    unit_book book;
    const auto engine = std::make_shared<deadlocking_adapter>(book, always);
    factory::factory work{registry, {engine}, "mem", {}, {.max_reruns = 3}};
    wire::request_decoder decoder;
    wire::reply_writer writer;
    core::arena memory;
    observe::live_counters counters;
    std::vector<factory::message> messages(2);
    // Two operations on one key keep their order.
    const std::string bodies[] = {
        R"({"v":1,"ops":[{"template":"items","op":"update","key":1,"inc":{"n":1}},)"
        R"({"template":"items","op":"update","key":1,"set":{"n":1}}]})",
        R"({"v":1,"template":"items","op":"insert","data":{"id":1}})"};
    for (std::size_t i = 0; i < messages.size(); ++i) {
        REQUIRE_FALSE(decoder.decode(bodies[i], memory, messages[i].request));
        messages[i].request.principal = "tester";
        messages[i].request.message_id = i == 0 ? "first" : "second";
        messages[i].request.deadline =
            core::machine_clock().system_now() + std::chrono::milliseconds{always ? 300 : 5000};
    }
    writer.start(factory::factory::count(messages));
    const auto began = core::machine_clock().steady_now();
    work.run(messages, writer, memory, counters);
    const auto took = core::machine_clock().steady_now() - began;
    for (const auto& message : messages) {
        for (const auto& result : message.results) {
            CHECK(result.code == (always ? core::code::deadline_exceeded : core::code::ok));
            CHECK(result.effect == (always ? core::effect::none : core::effect::applied));
        }
    }
    CHECK(took < std::chrono::milliseconds{500});
    CHECK(took >= std::chrono::milliseconds{always ? 250 : 0});
    auto committed = engine->session->committed;
    CHECK(committed.size() == (always ? 0U : 3U));
    CHECK(std::find(committed.begin(), committed.end(), 0U) <=
          std::find(committed.begin(), committed.end(), 1U));
}

TEST_CASE("what commits by itself and broke is unknown, and says that it may happen twice") {
    const auto parsed = templates::parse(
        "[template]\nname = \"items\"\nconnection = \"mem\"\nstore = \"rel\"\nobject = \"items\"\n"
        "key = [\"id\"]\n[fields]\nid = { type = \"int64\", required = true }\n");
    REQUIRE(parsed.parsed);
    const auto registry = std::make_shared<const templates::registry>(std::vector{*parsed.parsed});
    for (const auto beginning : {step_result::done, step_result::broken}) {
        unit_book book;
        factory::factory work{registry,
                              {std::make_shared<breaking_adapter>(
                                  book, adapters::capabilities{.transactions = true, .inbox = true},
                                  beginning, true)},
                              "mem",
                              {}};
        wire::request_decoder decoder;
        wire::reply_writer writer;
        core::arena memory;
        observe::live_counters counters;
        std::vector<factory::message> messages(1);
        REQUIRE_FALSE(decoder.decode(R"({"v":1,"template":"items","op":"insert","data":{"id":1}})",
                                     memory, messages[0].request));
        messages[0].request.principal = "tester";
        messages[0].request.message_id = "message";
        messages[0].request.redelivered = beginning == step_result::broken;
        writer.start(factory::factory::count(messages));
        work.run(messages, writer, memory, counters);
        const auto& result = messages[0].results[0];
        CHECK(result.effect == core::effect::unknown);
        // Where it was never called it may be tried again.
        CHECK(result.at_least_once == (beginning == step_result::done));
    }
}

namespace {

/// Refuses every operation with the same words, and counts the replies that are to be kept.
class refusing_session final : public breaking_session {
public:
    refusing_session(unit_book& book, core::outcome says, std::size_t& kept)
        : breaking_session(book, step_result::done), says_(says), kept_(kept) {}
    step_result run(const adapters::group& work, core::row_sink&, adapters::outcomes results,
                    core::arena&) override {
        for (const auto* op : work.operations) {
            results[op->index] = says_;
        }
        return step_result::done;
    }
    step_result seal(std::span<const adapters::sealed_reply> replies) override {
        kept_ += replies.size();
        return step_result::done;
    }
    adapters::commit_result commit() override { return adapters::commit_result::applied; }

private:
    core::outcome says_;
    std::size_t& kept_;
};

class refusing_adapter final : public breaking_adapter {
public:
    refusing_adapter(unit_book& book, adapters::capabilities can, core::outcome says)
        : breaking_adapter(book, can, step_result::done), book_(book), says_(says) {}
    std::unique_ptr<adapters::session> open_session(adapters::session_context) override {
        return std::make_unique<refusing_session>(book_, says_, kept);
    }
    std::size_t kept = 0;

private:
    unit_book& book_;
    core::outcome says_;
};

} // namespace

TEST_CASE("a refusal that people of the database can mend is no answer for good") {
    const auto parsed = templates::parse(
        "[template]\nname = \"items\"\nconnection = \"mem\"\nstore = \"rel\"\nobject = \"items\"\n"
        "key = [\"id\"]\n[fields]\nid = { type = \"int64\", required = true }\n");
    REQUIRE(parsed.parsed);
    const auto registry = std::make_shared<const templates::registry>(std::vector{*parsed.parsed});
    const struct {
        core::code code;
        core::effect effect;
        bool kept;
    } cases[] = {{core::code::backend_permission_denied, core::effect::none, false},
                 {core::code::unsupported, core::effect::none, false},
                 {core::code::limit_exceeded, core::effect::none, false},
                 {core::code::limit_exceeded, core::effect::applied, true},
                 {core::code::not_found, core::effect::none, true},
                 {core::code::duplicate_key, core::effect::none, true},
                 {core::code::rejected, core::effect::none, true}};
    for (const auto& each : cases) {
        for (const bool transactions : {true, false}) {
            CAPTURE(core::to_string(each.code), core::to_string(each.effect), transactions);
            unit_book book;
            const auto engine = std::make_shared<refusing_adapter>(
                book, adapters::capabilities{.transactions = transactions, .inbox = true},
                core::outcome::failure(each.code, "because", {}, each.effect));
            factory::factory work{registry, {engine}, "mem", {}};
            wire::request_decoder decoder;
            wire::reply_writer writer;
            core::arena memory;
            observe::live_counters counters;
            std::vector<factory::message> messages(1);
            REQUIRE_FALSE(
                decoder.decode(R"({"v":1,"template":"items","op":"insert","data":{"id":1}})",
                               memory, messages[0].request));
            messages[0].request.principal = "tester";
            messages[0].request.message_id = "message";
            writer.start(1);
            work.run(messages, writer, memory, counters);
            CHECK(messages[0].results[0].code == each.code);
            CHECK(engine->kept == (each.kept ? 1U : 0U));
        }
    }
}

TEST_CASE(
    "reload: a refused write whose first reply cannot be looked for is not said to be undone") {
    const auto parsed = templates::parse(
        "[template]\nname = \"items\"\nconnection = \"mem\"\nstore = \"rel\"\nobject = \"items\"\n"
        "key = [\"id\"]\n[fields]\nid = { type = \"int64\", required = true }\n");
    REQUIRE(parsed.parsed);
    const auto set = std::make_shared<const factory::template_set>(factory::template_set{
        .registry = std::make_shared<const templates::registry>(std::vector{*parsed.parsed}),
        .generation = 1,
        .since = {0},
        .slots = {1},
        .removed = {"old"}});
    for (const bool inbox : {true, false}) {
        for (const bool redelivered : {false, true}) {
            INFO("inbox " << inbox << ", redelivered " << redelivered);
            unit_book book;
            factory::factory work{
                set,
                {std::make_shared<breaking_adapter>(
                    book, adapters::capabilities{.transactions = true, .inbox = inbox},
                    step_result::broken)},
                "mem",
                {}};
            wire::request_decoder decoder;
            wire::reply_writer writer;
            core::arena memory;
            observe::live_counters counters;
            std::vector<factory::message> messages(2);
            const std::string_view bodies[] = {
                R"({"v":1,"template":"old","op":"insert","data":{"id":1}})",
                R"({"v":1,"template":"never","op":"insert","data":{"id":1}})"};
            for (std::size_t i = 0; i < 2; ++i) {
                REQUIRE_FALSE(decoder.decode(bodies[i], memory, messages[i].request));
                messages[i].request.principal = "tester";
                messages[i].request.message_id = i == 0 ? "a" : "b";
                messages[i].request.redelivered = redelivered;
            }
            writer.start(2);
            work.run(messages, writer, memory, counters);
            const auto& old = messages[0].results[0];
            CHECK(old.code ==
                  (inbox ? core::code::backend_unavailable : core::code::unknown_template));
            CHECK(old.effect == (redelivered ? core::effect::unknown : core::effect::none));
            // Nobody but those whose template changed asks the database.
            CHECK(messages[1].results[0].code == core::code::unknown_template);
            CHECK(messages[1].results[0].effect == core::effect::none);
            CHECK(book.begun == (inbox ? 1 : 0));
            CHECK_FALSE(book.open);
        }
    }
}

namespace {

/// The second operation is a call whose procedure committed without a word, so that the first is
/// done, too; the third was not run.
class committing_session final : public breaking_session {
public:
    committing_session(unit_book& book, std::size_t& runs)
        : breaking_session(book, step_result::done), runs_(runs) {}
    step_result run(const adapters::group& work, core::row_sink&, adapters::outcomes results,
                    core::arena&) override {
        ++runs_;
        for (std::size_t i = 0; i < work.operations.size(); ++i) {
            results[work.operations[i]->index] =
                i < 2 ? core::outcome::failure(core::code::internal, "the transaction ended", {},
                                               core::effect::unknown)
                      : core::outcome::failure(core::code::backend_conflict, "not run");
        }
        return step_result::done;
    }
    step_result seal(std::span<const adapters::sealed_reply>) override { return step_result::done; }
    adapters::commit_result commit() override { return adapters::commit_result::applied; }

private:
    std::size_t& runs_;
};

class committing_adapter final : public breaking_adapter {
public:
    explicit committing_adapter(unit_book& book)
        : breaking_adapter(book, adapters::capabilities{.transactions = true, .inbox = true},
                           step_result::done),
          book_(book) {}
    std::unique_ptr<adapters::session> open_session(adapters::session_context) override {
        return std::make_unique<committing_session>(book_, runs);
    }
    std::size_t runs = 0;

private:
    unit_book& book_;
};

} // namespace

TEST_CASE(
    "an atomic envelope of which a part may be committed does not wait for rows and run again") {
    const auto parsed = templates::parse(
        "[template]\nname = \"items\"\nconnection = \"mem\"\nstore = \"rel\"\nobject = \"items\"\n"
        "key = [\"id\"]\n[fields]\nid = { type = \"int64\", required = true }\n");
    REQUIRE(parsed.parsed);
    unit_book book;
    const auto engine = std::make_shared<committing_adapter>(book);
    factory::factory work{std::make_shared<const templates::registry>(std::vector{*parsed.parsed}),
                          {engine},
                          "mem",
                          {}};
    wire::request_decoder decoder;
    wire::reply_writer writer;
    core::arena memory;
    observe::live_counters counters;
    std::vector<factory::message> messages(1);
    REQUIRE_FALSE(decoder.decode(
        R"({"v":1,"mode":"atomic","ops":[{"template":"items","op":"insert","data":{"id":1}},)"
        R"({"template":"items","op":"insert","data":{"id":2}},)"
        R"({"template":"items","op":"insert","data":{"id":3}}]})",
        memory, messages[0].request));
    messages[0].request.principal = "tester";
    messages[0].request.message_id = "message";
    messages[0].request.deadline =
        core::machine_clock().system_now() + std::chrono::milliseconds{200};
    writer.start(3);
    work.run(messages, writer, memory, counters);
    CHECK(engine->runs == 1);
    CHECK(messages[0].results[0].effect == core::effect::unknown);
    CHECK(messages[0].results[1].effect == core::effect::unknown);
    CHECK(messages[0].results[2].effect == core::effect::none);
}
