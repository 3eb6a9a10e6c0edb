#include "support/catch.hpp"

#include <beds/adapters/memory.hpp>
#include <beds/factory/factory.hpp>
#include <beds/wire/reply.hpp>
#include <beds/wire/request.hpp>

#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

using namespace beds;
using adapters::bound_operation;
using Catch::Contains;
using factory::custom_work;

namespace {

constexpr const char* ranges = R"toml(
template = { name = "ranges", connection = "mem", store = "rel", object = "ranges", key = ["id"] }
[fields]
id   = { type = "int64", required = true }
low  = { type = "int64" }
high = { type = "int64" }
)toml";

constexpr const char* audit = R"toml(
template = { name = "audit", connection = "mem", store = "rel", object = "audit", key = ["id"] }
[fields]
id    = { type = "int64", required = true }
event = { type = "string", max = 60 }
)toml";

constexpr const char* elsewhere = R"toml(
template = { name = "elsewhere", connection = "other", store = "rel", object = "x", key = ["id"] }
limits = { max_depth = 7 }
[fields]
id = { type = "int64", required = true }
)toml";

constexpr const char* guests = R"toml(
template = { name = "guests", connection = "mem", store = "rel", object = "guests", key = ["id"], soft_delete = "gone" }
[fields]
id   = { type = "int64", required = true }
name = { type = "string", max = 20 }
gone = { type = "datetime" }
[calls.double]
procedure = "sp_double"
class     = "read"
args      = [["number", "int64"]]
out       = [["twice", "int64"]]
)toml";

/// The same rows as somebody sees them who sees what is deleted.
constexpr const char* everybody = R"toml(
template = { name = "everybody", connection = "mem", store = "rel", object = "guests", key = ["id"] }
[fields]
id   = { type = "int64", required = true }
name = { type = "string", max = 20 }
gone = { type = "datetime" }
)toml";

constexpr auto writes = [](core::verb op) {
    return op == core::verb::insert || op == core::verb::update || op == core::verb::remove;
};

/// Does what the test says.
class scripted final : public factory::custom_template {
public:
    using script = std::function<void(custom_work&)>;
    using choice = std::function<bool(core::verb)>;
    explicit scripted(script what, choice which = writes)
        : what_(std::move(what)), which_(std::move(which)) {}
    [[nodiscard]] bool takes(core::verb op, const templates::call*) const override {
        return which_(op);
    }
    void run(custom_work& work) override { what_(work); }

private:
    script what_;
    choice which_;
};

struct shop {
    explicit shop(scripted::script what, const std::string& of = "ranges",
                  scripted::choice which = writes)
        : work(set(), {adapters::make_memory("mem")}, "mem",
               {.name = "shop",
                .log = {observe::level::info,
                        [this](const observe::log_record& record) {
                            log += std::string{record.id} + ' ' + std::string{record.text} + '\n';
                        }}},
               {.customs = {{of, [this, what = std::move(what), which = std::move(which)] {
                                 ++made;
                                 return std::make_unique<scripted>(what, which);
                             }}}}) {}

    static std::shared_ptr<const factory::template_set> set(std::uint64_t generation = 0) {
        std::vector<templates::template_def> all;
        for (const auto* text : {ranges, audit, elsewhere, guests, everybody}) {
            auto parsed = templates::parse(text);
            REQUIRE(parsed.parsed);
            all.push_back(std::move(*parsed.parsed));
        }
        return std::make_shared<const factory::template_set>(factory::template_set{
            .registry = std::make_shared<const templates::registry>(std::move(all)),
            .generation = generation});
    }

    /// Each body is a message of one batch.
    std::vector<std::string> batch(std::vector<std::string> bodies) {
        memory.reset();
        kept = std::move(bodies);
        std::vector<factory::message> messages(kept.size());
        for (std::size_t i = 0; i < kept.size(); ++i) {
            auto& one = messages[i];
            REQUIRE_FALSE(decoder.decode(kept[i], memory, one.request));
            one.request.principal = "tester";
            one.request.message_id = memory.copy(std::string_view{"m" + std::to_string(number++)});
            one.event = memory.copy(std::string_view{"event-" + std::to_string(i)});
        }
        writer.start(factory::factory::count(messages));
        work.run(messages, writer, memory, counters);
        std::vector<std::string> replies;
        for (const auto& one : messages) {
            std::string reply;
            writer.append_reply(reply, one.event, one.request.enveloped, one.first, one.results);
            replies.push_back(std::move(reply));
        }
        return replies;
    }
    std::string operator()(const std::string& body) { return batch({body}).front(); }
    std::string count(const std::string& of) {
        const auto reply = (*this)(R"({"v":1,"template":")" + of + R"(","op":"count"})");
        const auto at = reply.find("\"total\":");
        return at == std::string::npos ? reply : reply.substr(at + 8, reply.size() - at - 9);
    }

    std::string log;
    int made = 0;
    factory::factory work;
    wire::request_decoder decoder;
    wire::reply_writer writer;
    core::arena memory;
    observe::live_counters counters;
    std::vector<std::string> kept;
    int number = 0;
};

std::string insert(int id, int low, int high) {
    return R"({"v":1,"template":"ranges","op":"insert","data":{"id":)" + std::to_string(id) +
           ",\"low\":" + std::to_string(low) + ",\"high\":" + std::to_string(high) + "}}";
}

/// Two fields that belong together: `low` is not above `high`, in the row as it is afterwards.
void validates(custom_work& work) {
    std::vector<const bound_operation*> good;
    for (const auto* op : work.operations()) {
        const auto& fields = op->target->fields;
        REQUIRE(fields[1].name == "low");
        std::int64_t both[] = {0, 0};
        const auto given = op->op == core::verb::insert ? op->rows.front() : op->set;
        if (op->op == core::verb::update) {
            const auto row = work.fetch(*op->target, op->key);
            if (row.unit == custom_work::state::over) {
                return;
            }
            for (templates::field_id field = 1; field <= 2 && !row.cells.empty(); ++field) {
                both[field - 1] = row.cells[field].integer;
            }
        }
        for (templates::field_id field = 1; field <= 2; ++field) {
            if (const auto* value = factory::given_value(given, field)) {
                both[field - 1] = value->integer;
            }
        }
        if (op->op != core::verb::remove && both[0] > both[1]) {
            work.result(*op) =
                core::outcome::failure(core::code::guard_failed, "low is above high", "low");
        } else {
            good.push_back(op);
        }
    }
    static_cast<void>(work.run(good));
}

/// Writes down what was done, in the same transaction, under the event of its reply.
custom_work::state notes(custom_work& work, const bound_operation& op, core::outcome& to) {
    const auto* log = work.find("audit");
    REQUIRE(log != nullptr);
    const adapters::assignment row[] = {
        {0, *factory::given_value(op.rows.front(), 0)},
        {1, core::value::of_text(core::value::kind::string, work.lineage_of(op).event)}};
    return work.insert(*log, row, to);
}

} // namespace

TEST_CASE("custom: two fields are checked together, and what is refused harms no neighbour") {
    shop at{validates};
    const auto got = at.batch({insert(1, 1, 5), insert(2, 9, 5), insert(3, 5, 5)});
    CHECK_THAT(got[0], Contains(R"("effect":"applied")"));
    CHECK_THAT(got[1], Contains("GUARD_FAILED") && Contains(R"("field":"low")") &&
                           Contains(R"("effect":"none")"));
    CHECK_THAT(got[2], Contains(R"("effect":"applied")"));
    CHECK(at.count("ranges") == "2");
    const std::string update = R"({"v":1,"template":"ranges","op":"update","key":1,"set":)";
    CHECK_THAT(at(update + R"({"low":6}})"), Contains("GUARD_FAILED"));
    CHECK_THAT(at(update + R"({"low":6,"high":7}})"), Contains("applied"));
    CHECK_THAT(at(R"({"v":1,"template":"ranges","op":"fetch","key":1})"),
               Contains(R"("low":6,"high":7)"));
    CHECK(at.made == 1);
    at.work.change_templates(shop::set(1));
    CHECK(at.made == 2); // and the templates that come after a reload have it
    CHECK_THAT(at(update + R"({"low":8}})"), Contains("GUARD_FAILED"));
    CHECK(at.log.empty());
}

TEST_CASE("custom: the same id again gets the first reply without its code") {
    int ran = 0;
    shop at{[&ran](custom_work& work) {
        ++ran;
        static_cast<void>(work.run(work.operations()));
    }};
    const std::string body =
        R"({"v":1,"ops":[{"id":"one","template":"ranges","op":"insert","data":{"id":1}}]})";
    CHECK_THAT(at(body), Contains("applied"));
    CHECK_THAT(at(body), Contains("applied"));
    CHECK(at.count("ranges") == "1");
    CHECK(ran <= 2); // the inbox tells at the seal what it was not asked before
}

TEST_CASE("custom: what is written elsewhere is there exactly when the operation is done") {
    shop at{[](custom_work& work) {
        for (const auto* op : work.operations()) {
            core::outcome noted;
            if (notes(work, *op, noted) == custom_work::state::over) {
                return;
            }
            if (!noted.ok()) {
                work.result(*op) = noted;
                continue;
            }
            // Refused after its note was written.
            if (factory::given_value(op->rows.front(), 0)->integer % 2 == 0) {
                work.result(*op) = core::outcome::failure(core::code::guard_failed, "even");
            } else if (work.run({&op, 1}) == custom_work::state::over) {
                return;
            }
        }
    }};
    const auto got = at.batch({insert(1, 0, 0), insert(2, 0, 0), insert(3, 0, 0), insert(4, 0, 0)});
    CHECK_THAT(got[0], Contains("applied"));
    CHECK_THAT(got[1], Contains("GUARD_FAILED") && Contains(R"("effect":"none")"));
    CHECK_THAT(got[2], Contains("applied"));
    CHECK_THAT(got[3], Contains("GUARD_FAILED"));
    CHECK(at.count("ranges") == "2");
    CHECK(at.count("audit") == "2");
    CHECK_THAT(at(R"({"v":1,"template":"audit","op":"fetch","key":3})"),
               Contains(R"("event":"event-2")"));
    // The engine refuses the row itself: its note goes with it.
    CHECK_THAT(at(R"({"v":1,"template":"audit","op":"delete","key":1})"), Contains("applied"));
    const auto twice = at.batch({insert(1, 0, 0), insert(3, 0, 0), insert(5, 0, 0)});
    CHECK_THAT(twice[0], Contains("DUPLICATE_KEY") && Contains(R"("effect":"none")"));
    CHECK_THAT(twice[1], Contains("DUPLICATE_KEY"));
    CHECK_THAT(twice[2], Contains("applied"));
    CHECK(at.count("ranges") == "3");
    CHECK(at.count("audit") == "2"); // of 3 and of 5
}

TEST_CASE("custom: code that fails or forgets is INTERNAL, undone, and told in the log") {
    shop at{[](custom_work& work) {
        for (const auto* op : work.operations()) {
            core::outcome noted;
            if (notes(work, *op, noted) == custom_work::state::over) {
                return;
            }
        }
        if (work.operations().front()->rows.front().size() > 2) {
            throw std::runtime_error{"a bug"};
        }
    }};
    const auto got =
        at.batch({insert(1, 0, 0), R"({"v":1,"template":"audit","op":"insert","data":{"id":7}})"});
    CHECK_THAT(got[0], Contains("INTERNAL") && Contains(R"("effect":"none")"));
    CHECK_THAT(got[1], Contains("applied"));
    CHECK(at.count("audit") == "1");
    CHECK(at.log == "BEDS_CUSTOM_FAILED custom template 'ranges': a bug\n");
    CHECK_THAT(at(R"({"v":1,"template":"ranges","op":"insert","data":{"id":1}})"),
               Contains("INTERNAL") && Contains("no answer"));
    CHECK(at.count("audit") == "1");
}

TEST_CASE("custom: atomic envelopes do not take its operations; sequences do, in order") {
    shop at{validates};
    const std::string ops = R"("ops":[
        {"template":"ranges","op":"insert","data":{"id":1,"low":1,"high":2}},
        {"template":"ranges","op":"insert","data":{"id":2,"low":3,"high":2}},
        {"template":"ranges","op":"insert","data":{"id":3,"low":1,"high":2}}]})";
    const auto atomic = at(R"({"v":1,"mode":"atomic",)" + ops);
    CHECK_THAT(atomic, Contains("UNSUPPORTED") && !Contains("applied"));
    CHECK(at.count("ranges") == "0");
    const auto sequence = at(R"({"v":1,"mode":"sequence",)" + ops);
    CHECK_THAT(sequence, Contains("applied") && Contains("GUARD_FAILED") && Contains("skipped"));
    CHECK(at.count("ranges") == "1");
}

TEST_CASE("custom: other templates are those of its connection") {
    bool checked = false;
    shop at{[&checked](custom_work& work) {
        CHECK(work.find("audit") != nullptr);
        CHECK(work.find("elsewhere") == nullptr);
        CHECK(work.find("nobody") == nullptr);
        checked = true;
        static_cast<void>(work.run(work.operations()));
    }};
    CHECK_THAT(at(insert(1, 0, 0)), Contains("applied"));
    CHECK(checked);
}

TEST_CASE("custom: operations of one shape come together, once") {
    std::vector<std::size_t> sizes;
    shop at{[&sizes](custom_work& work) {
        sizes.push_back(work.operations().size());
        static_cast<void>(work.run(work.operations()));
    }};
    const auto got = at.batch({insert(1, 1, 5), insert(2, 1, 5), insert(3, 1, 5),
                               R"({"v":1,"template":"audit","op":"insert","data":{"id":7}})"});
    for (const auto& each : got) {
        CHECK_THAT(each, Contains("applied"));
    }
    CHECK(sizes == std::vector<std::size_t>{3});
}

TEST_CASE("custom: reads and calls may be answered without the engine") {
    shop at{
        [](custom_work& work) {
            for (const auto* op : work.operations()) {
                if (op->asked == core::verb::fetch) {
                    CHECK(op->op == core::verb::find); // of a row without mark
                    auto& to = work.rows();
                    to.begin_row(op->index, *op->layout);
                    to.cell(core::value::of_int(7));
                    to.cell(core::value::of_text(core::value::kind::string,
                                                 work.memory().copy(std::string_view{"made up"})));
                    to.cell({});
                    to.end_row();
                } else {
                    REQUIRE(op->call->name == "double");
                    static const core::row_layout layout{std::vector<core::row_layout::column>{
                        {"twice", core::parse_field_type("int64").value()}}};
                    const core::value twice[] = {core::value::of_int(2 * op->args.front().integer)};
                    work.rows().out(op->index, layout, twice);
                }
                work.result(*op) = {};
            }
            // Who only reads writes nothing.
            core::outcome wrong;
            const adapters::assignment row[] = {{0, core::value::of_int(1)}};
            CHECK(work.insert(*work.find("audit"), row, wrong) == custom_work::state::goes_on);
            CHECK(wrong.code == core::code::internal);
        },
        "guests", [](core::verb op) { return op == core::verb::fetch || op == core::verb::call; }};
    CHECK_THAT(at(R"({"v":1,"template":"guests","op":"fetch","key":7})"),
               Contains(R"("rows":[{"id":7,"name":"made up","gone":null}])"));
    CHECK_THAT(
        at(R"({"v":1,"template":"guests","op":"call","name":"double","args":{"number":21}})"),
        Contains(R"("out":{"twice":42})"));
    CHECK(at.count("audit") == "0");
    CHECK_THAT(at(R"({"v":1,"template":"guests","op":"find"})"), Contains(R"("rows":[])"));
}

TEST_CASE("custom: with soft_delete code and callers see the same rows, and nothing is deleted") {
    std::vector<core::verb> asked;
    shop at{[&asked](custom_work& work) {
                for (const auto* op : work.operations()) {
                    asked.push_back(op->asked);
                }
                static_cast<void>(work.run(work.operations()));
            },
            "guests"};
    const auto guest = [](const std::string& members) {
        return R"({"v":1,"template":"guests",)" + members + '}';
    };
    for (const char* id : {"1", "2"}) {
        CHECK_THAT(
            at(guest(std::string{R"("op":"insert","data":{"id":)"} + id + R"(,"name":"a"})")),
            Contains("applied"));
    }
    CHECK_THAT(at(guest(R"("op":"update","key":1,"set":{"name":"b"})")), Contains("applied"));
    CHECK_THAT(at(guest(R"("op":"delete","key":1)")), Contains("applied"));
    CHECK(asked == std::vector<core::verb>{core::verb::insert, core::verb::insert,
                                           core::verb::update, core::verb::remove});
    CHECK(at.count("guests") == "1");
    CHECK(at.count("everybody") == "2");
}

TEST_CASE("custom: what code fetches, changes and removes of its own obeys soft_delete, too") {
    std::string told;
    shop at{[&told](custom_work& work) {
        const auto& guests_of = *work.find("guests");
        const core::value one[] = {core::value::of_int(1)};
        const core::value two[] = {core::value::of_int(2)};
        const adapters::assignment name[] = {
            {1, core::value::of_text(core::value::kind::string, "c")}};
        const auto said = [&told](const core::outcome& how) {
            told += std::string{core::to_string(how.code)} + ' ';
        };
        core::outcome how;
        CHECK(work.remove(guests_of, one, how) == custom_work::state::goes_on);
        said(how);
        CHECK(work.fetch(guests_of, one).cells.empty());
        CHECK(work.update(guests_of, one, name, {}, how) == custom_work::state::goes_on);
        said(how);
        CHECK(work.update(guests_of, two, name, {}, how) == custom_work::state::goes_on);
        said(how);
        const auto row = work.fetch(guests_of, two).cells;
        REQUIRE(row.size() == 3);
        CHECK(row[1].text == "c");
        static_cast<void>(work.run(work.operations()));
    }};
    for (const char* id : {"1", "2"}) {
        CHECK_THAT(at(std::string{R"({"v":1,"template":"guests","op":"insert","data":{"id":)"} +
                      id + R"(,"name":"a"}})"),
                   Contains("applied"));
    }
    CHECK_THAT(at(insert(1, 0, 0)), Contains("applied"));
    CHECK(told == "OK NOT_FOUND OK ");
    CHECK(at.count("guests") == "1");
    CHECK(at.count("everybody") == "2");
}

TEST_CASE("describe says what on_conflict may say, and nothing where it may not stand") {
    shop at{validates};
    const auto all = at(R"({"v":1,"op":"describe"})");
    CHECK_THAT(all, Contains(R"("max_depth":7)"));
    CHECK_THAT(all, Contains(R"("on_conflict":{"unique":[["id"]],"set":["low","high"]})"));
    const auto guests_at = all.find(R"("name":"guests")");
    REQUIRE(guests_at != std::string::npos);
    CHECK(all.substr(guests_at, all.find(R"({"name":"ranges")") - guests_at).find("on_conflict") ==
          std::string::npos);
}
