#include "support/allocations.hpp"
#include "support/catch.hpp"

#include <beds/adapters/memory.hpp>
#include <beds/factory/factory.hpp>
#include <beds/observe/ledger.hpp>
#include <beds/wire/reply.hpp>
#include <beds/wire/request.hpp>

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

using namespace beds;

namespace {

constexpr int row_count = 1000;

constexpr std::string_view users = R"(
template = { name = "users", store = "rel", connection = "mem", object = "users", key = ["id"] }
[fields]
id      = { type = "int64", required = true }
email   = { type = "string", max = 64 }
status  = { type = "int32" }
balance = { type = "int64" }
created = { type = "datetime" }
[calls.touch]
procedure = "touch"
class = "write"
args = [["id", "int64"]]
)";

/// An engine that has done everything at once: what is left is the cost of everything around it.
class no_engine final : public adapters::adapter {
public:
    class session final : public adapters::session {
    public:
        void connect(core::deadline) override { usable_ = true; }
        [[nodiscard]] bool usable() const override { return usable_; }
        bool alive(core::deadline) override { return true; }
        adapters::step_result begin(adapters::work_kind, core::deadline,
                                    std::span<const adapters::operation_identity>, adapters::lookup,
                                    core::arena&, std::vector<adapters::stored_reply>&) override {
            return adapters::step_result::done;
        }
        adapters::step_result run(const adapters::group& work, core::row_sink& to,
                                  adapters::outcomes results, core::arena&) override {
            for (const auto* op : work.operations) {
                results[op->index] = core::outcome::applied();
                to.count(op->index, 1);
            }
            return adapters::step_result::done;
        }
        adapters::step_result seal(std::span<const adapters::sealed_reply>) override {
            return adapters::step_result::done;
        }
        adapters::commit_result commit() override { return adapters::commit_result::applied; }
        void rollback() override {}

    private:
        bool usable_ = false;
    };

    [[nodiscard]] std::string_view engine_name() const override { return "none"; }
    [[nodiscard]] const std::string& connection_name() const override { return name_; }
    [[nodiscard]] adapters::capabilities can() const override {
        return {.transactions = true, .procedures = true, .pipelines = false, .inbox = true};
    }
    [[nodiscard]] std::unique_ptr<adapters::session>
    open_session(adapters::session_context) override {
        return std::make_unique<session>();
    }
    [[nodiscard]] std::vector<std::string> check(const templates::template_def&) const override {
        return {};
    }
    [[nodiscard]] bool runs_alone(const templates::template_def&, core::verb,
                                  const templates::call*) const override {
        return false;
    }
    void inspect(adapters::session&, std::span<const templates::template_def* const>,
                 core::deadline) override {}

private:
    std::string name_ = "mem";
};

/// What a broker does between RabbitMQ's bytes and RabbitMQ's bytes.
class data_path {
public:
    explicit data_path(std::shared_ptr<adapters::adapter> engine) {
        const auto parsed = templates::parse(users);
        INFO((parsed.problems.empty() ? "" : to_string(parsed.problems.front())));
        REQUIRE(parsed.problems.empty());
        registry_ = std::make_shared<templates::registry>(
            std::vector<templates::template_def>{*parsed.parsed});
        adapters::session_context context;
        context.name = "test";
        counters_.books = &books_;
        work_.emplace(registry_, std::vector{std::move(engine)}, "mem", std::move(context));
        for (int i = 0; i < row_count; ++i) {
            const auto id = std::to_string(i);
            const auto reply = run({R"({"v":1,"template":"users","op":"insert","data":{"id":)" +
                                    id + R"(,"email":"a long address of user )" + id +
                                    R"( @example.org","status":1,"balance":100,)"
                                    R"("created":"2026-01-31T12:00:00Z"}})"});
            REQUIRE(reply.find(R"("effect":"applied")") != std::string::npos);
        }
    }

    /// The replies one after the other; valid until the next run.
    const std::string& run(std::span<const std::string> bodies) {
        memory_.reset();
        batch_.clear();
        replies_.clear();
        for (const auto& body : bodies) {
            auto& message = batch_.emplace_back();
            const auto refused = decoder_.decode(body, memory_, message.request);
            if (refused) {
                throw std::runtime_error(std::string{refused->detail});
            }
            message.request.principal = "test";
            message.request.message_id = next_id();
        }
        writer_.start(factory::factory::count(batch_));
        core::op_index first = 0;
        for (const auto& message : batch_) {
            writer_.same_reply(first, message.request.operations.size());
            first += static_cast<core::op_index>(message.request.operations.size());
        }
        work_->run(batch_, writer_, memory_, counters_);
        for (const auto& message : batch_) {
            writer_.append_reply(replies_, "dev.1", message.request.enveloped, message.first,
                                 message.results);
        }
        observe::ledger::entry entry{books_};
        for (const auto& message : batch_) {
            for (std::size_t i = 0; i < message.results.size(); ++i) {
                entry.settled(message.slots[i], message.request.operations[i].op,
                              message.results[i].code, observe::fate::replied_ok);
            }
        }
        return replies_;
    }
    const std::string& run(std::initializer_list<std::string> bodies) {
        return run(std::span{bodies.begin(), bodies.size()});
    }

private:
    std::string_view next_id() { return memory_.copy(std::string_view{std::to_string(++ids_)}); }

    std::shared_ptr<templates::registry> registry_;
    std::optional<factory::factory> work_;
    wire::request_decoder decoder_;
    wire::reply_writer writer_;
    core::arena memory_;
    observe::ledger books_{1};
    observe::live_counters counters_;
    std::vector<factory::message> batch_;
    std::string replies_;
    std::uint64_t ids_ = 1'000'000;
};

/// What one batch costs when it comes again and again.
test::costs steady(data_path& path, std::span<const std::string> bodies) {
    for (int i = 0; i < 20; ++i) {
        path.run(bodies);
    }
    constexpr int times = 200;
    const auto before = test::costs_so_far();
    for (int i = 0; i < times; ++i) {
        path.run(bodies);
    }
    const auto after = test::costs_so_far();
    const auto made = after.allocations - before.allocations;
    return {made, (after.locks - before.locks) / times};
}

std::vector<std::string> messages(std::size_t count,
                                  const std::function<std::string(std::size_t)>& make) {
    std::vector<std::string> made;
    for (std::size_t i = 0; i < count; ++i) {
        made.push_back(make(i));
    }
    return made;
}

std::string key_of(std::size_t i) {
    return std::to_string(i * 7919 % row_count);
}

std::string fetch(std::size_t i) {
    return R"("template":"users","op":"fetch","key":)" + key_of(i);
}

std::string envelope(std::size_t first, std::size_t count) {
    std::string made = R"({"v":1,"ops":[)";
    for (std::size_t i = 0; i < count; ++i) {
        made += (i == 0 ? "{" : ",{") + fetch(first + i) + "}";
    }
    return made + "]}";
}

std::size_t times_in(std::string_view text, std::string_view part) {
    std::size_t found = 0;
    for (auto at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1)) {
        ++found;
    }
    return found;
}

void require_counting() {
    if (!test::costs_are_counted()) {
        WARN("not counted: the sanitizer brings its own malloc");
    }
}

} // namespace

TEST_CASE("the counters count") {
    require_counting();
    const auto before = test::costs_so_far();
    const auto text = std::make_unique<std::string>(100, 'x');
    std::mutex mutex;
    { const std::lock_guard lock{mutex}; }
    const auto after = test::costs_so_far();
    CHECK(text->size() == 100);
    if (test::costs_are_counted()) {
        CHECK(after.allocations - before.allocations >= 2);
        CHECK(after.locks - before.locks == 1);
    }
}

TEST_CASE("a fetch takes nothing from the heap and locks nothing, from bytes to bytes") {
    require_counting();
    data_path path{adapters::make_memory("mem")};
    struct form {
        std::string name;
        std::vector<std::string> bodies;
    };
    const std::vector<form> forms{
        {"64 messages", messages(64, [](std::size_t i) { return R"({"v":1,)" + fetch(i) + "}"; })},
        {"with fields", messages(64,
                                 [](std::size_t i) {
                                     return R"({"v":1,)" + fetch(i) +
                                            R"(,"fields":["email","status"]})";
                                 })},
        {"2 envelopes of 32", messages(2, [](std::size_t i) { return envelope(i * 32, 32); })},
        {"rows that are not there",
         messages(64,
                  [](std::size_t i) {
                      return R"({"v":1,"template":"users","op":"fetch","key":)" +
                             std::to_string(row_count + i) + "}";
                  })},
    };
    for (const auto& each : forms) {
        INFO(each.name);
        const auto& replies = path.run(each.bodies);
        CHECK(times_in(replies, R"("status":"ok","effect":"none","rows":[)") == 64);
        const auto cost = steady(path, each.bodies);
        CHECK(cost.allocations == 0);
        // Of the store, for the group: what a batch of one operation has, too.
        CHECK(cost.locks <= 2);
    }
}

TEST_CASE("count and exists by key take nothing from the heap") {
    require_counting();
    data_path path{adapters::make_memory("mem")};
    for (const std::string verb : {"count", "exists"}) {
        INFO(verb);
        const auto bodies = messages(64, [&](std::size_t i) {
            return R"({"v":1,"template":"users","op":")" + verb + R"(","where":{"id":)" +
                   key_of(i) + "}}";
        });
        const auto& replies = path.run(bodies);
        CHECK(times_in(replies, R"("status":"ok")") == 64);
        const auto cost = steady(path, bodies);
        CHECK(cost.allocations == 0);
        CHECK(cost.locks <= 2);
    }
}

TEST_CASE("around the engine, a write takes nothing from the heap and locks nothing") {
    require_counting();
    data_path path{std::make_shared<no_engine>()};
    const std::vector<std::pair<std::string, std::function<std::string(std::size_t)>>> forms{
        {"update",
         [](std::size_t i) {
             return R"("op":"update","key":)" + key_of(i) +
                    R"(,"set":{"email":"another address"},"inc":{"balance":1},"if":{"status":1})";
         }},
        {"update by where",
         [](std::size_t i) {
             return R"("op":"update","where":{"id":{"in":[1,)" + key_of(i) +
                    R"(]}},"inc":{"balance":1})";
         }},
        {"insert",
         [](std::size_t i) {
             return R"("op":"insert","data":{"id":)" + key_of(i) +
                    R"(,"email":"a","created":"2026-01-31T12:00:00Z"})";
         }},
        {"delete", [](std::size_t i) { return R"("op":"delete","key":)" + key_of(i); }},
        {"call",
         [](std::size_t i) {
             return R"("op":"call","name":"touch","args":{"id":)" + key_of(i) + "}";
         }},
    };
    for (const auto& [name, make] : forms) {
        for (const std::size_t in_one : {1U, 32U}) {
            INFO(name << ", " << in_one << " to a message");
            const auto& one = make; // a binding cannot be captured
            const auto bodies = messages(64 / in_one, [&](std::size_t i) {
                std::string body = R"({"v":1,)";
                body += in_one == 1 ? "" : R"("ops":[)";
                for (std::size_t k = 0; k < in_one; ++k) {
                    body += in_one == 1 ? "" : k == 0 ? "{" : ",{";
                    body += R"("template":"users",)" + one(i * in_one + k);
                    body += in_one == 1 ? "" : "}";
                }
                return body + (in_one == 1 ? "}" : "]}");
            });
            const auto& replies = path.run(bodies);
            CHECK(times_in(replies, R"("status":"ok","effect":"applied","count":1)") == 64);
            const auto cost = steady(path, bodies);
            CHECK(cost.allocations == 0);
            CHECK(cost.locks == 0);
        }
    }
}
