// The suite itself: an engine that breaks one promise must be found out.

#include "support/catch.hpp"

#include <beds/adapters/memory.hpp>
#include <beds/testing/adapter_conformance.hpp>
#include <beds/testing/make.hpp>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <string>

using namespace beds;

namespace {

/// What a broken engine does otherwise. Each lie is one that a real engine is likely to tell.
enum class lie {
    none,
    trailing_spaces_lost,
    null_is_empty,
    micro_is_milli,
    case_is_folded,
    no_next,
    next_always,
    rows_of_misses,
    count_is_changed,
    insert_count_is_one,
    rollback_keeps,
    commit_loses,
    duplicate_hides_field,
    not_found_is_ok,
    conflict_is_not_found,
    effect_is_hopeful,
    atomic_is_not,
    inbox_forgets,
    inbox_ignores_principal,
    deadline_ignored,
    double_is_float,
    group_loses_last,
};

constexpr lie all_lies[] = {lie::trailing_spaces_lost,
                            lie::null_is_empty,
                            lie::micro_is_milli,
                            lie::case_is_folded,
                            lie::no_next,
                            lie::next_always,
                            lie::rows_of_misses,
                            lie::count_is_changed,
                            lie::insert_count_is_one,
                            lie::rollback_keeps,
                            lie::commit_loses,
                            lie::duplicate_hides_field,
                            lie::not_found_is_ok,
                            lie::conflict_is_not_found,
                            lie::effect_is_hopeful,
                            lie::atomic_is_not,
                            lie::inbox_forgets,
                            lie::inbox_ignores_principal,
                            lie::deadline_ignored,
                            lie::double_is_float,
                            lie::group_loses_last};

class lying_sink final : public core::row_sink {
public:
    lying_sink(lie told, core::row_sink& to) : lie_(told), to_(to) {}

    void reset(core::op_index op) override { to_.reset(op); }
    void begin_row(core::op_index op, const core::row_layout& layout) override {
        to_.begin_row(op, layout);
    }
    void cell(const core::value& given) override {
        using kind = core::value::kind;
        auto told = given;
        std::string text{given.text};
        if (given.type == kind::string) {
            if (lie_ == lie::trailing_spaces_lost) {
                text.erase(text.find_last_not_of(' ') + 1);
            }
            if (lie_ == lie::case_is_folded) {
                std::transform(text.begin(), text.end(), text.begin(), [](char letter) {
                    return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter + 32) : letter;
                });
            }
            told.text = text;
        }
        if (lie_ == lie::null_is_empty && given.is_null()) {
            told = core::value::of_text(kind::string, "");
        }
        if (lie_ == lie::micro_is_milli && given.type == kind::datetime) {
            told.integer = given.integer / 1000 * 1000;
        }
        if (lie_ == lie::double_is_float && given.type == kind::real) {
            told.real = static_cast<double>(static_cast<float>(given.real));
        }
        to_.cell(told);
    }
    void end_row() override { to_.end_row(); }
    void share_rows(core::op_index from, core::op_index to) override { to_.share_rows(from, to); }
    void no_rows(core::op_index op) override {
        if (lie_ != lie::rows_of_misses) {
            to_.no_rows(op);
        }
    }
    void next(core::op_index op, std::uint64_t tag,
              std::span<const core::value> position) override {
        if (lie_ != lie::no_next) {
            to_.next(op, tag, position);
        }
    }
    void total(core::op_index op, std::uint64_t total) override { to_.total(op, total); }
    void exists(core::op_index op, bool exists) override { to_.exists(op, exists); }
    void count(core::op_index op, std::uint64_t count) override {
        to_.count(op, lie_ == lie::insert_count_is_one && count > 1 ? 1 : count);
    }
    void key(core::op_index op, const core::row_layout& layout,
             std::span<const core::value> key) override {
        to_.key(op, layout, key);
    }
    void begin_set(core::op_index op, std::string_view name) override { to_.begin_set(op, name); }
    void out(core::op_index op, const core::row_layout& layout,
             std::span<const core::value> values) override {
        to_.out(op, layout, values);
    }

private:
    lie lie_;
    core::row_sink& to_;
};

class lying_session final : public adapters::session {
public:
    lying_session(lie told, std::unique_ptr<adapters::session> honest)
        : lie_(told), honest_(std::move(honest)) {}

    void connect(core::deadline until) override { honest_->connect(until); }
    [[nodiscard]] bool usable() const override { return honest_->usable(); }
    bool alive(core::deadline until) override { return honest_->alive(until); }

    adapters::step_result begin(adapters::work_kind kind, core::deadline until,
                                std::span<const adapters::operation_identity> ids,
                                adapters::lookup how, core::arena& memory,
                                std::vector<adapters::stored_reply>& known) override {
        std::vector<adapters::operation_identity> asked{ids.begin(), ids.end()};
        if (lie_ == lie::inbox_ignores_principal) {
            for (auto& each : asked) {
                each.principal = "everybody";
            }
        }
        if (lie_ == lie::deadline_ignored) {
            until = core::deadline::never();
        }
        const auto step = honest_->begin(kind, until, asked, how, memory, known);
        if (lie_ == lie::inbox_forgets && !known.empty()) {
            known.pop_back();
        }
        return step;
    }

    adapters::step_result run(const adapters::group& work, core::row_sink& rows,
                              adapters::outcomes results, core::arena& memory) override {
        lying_sink sink{lie_, rows};
        auto told = work;
        if (lie_ == lie::atomic_is_not) {
            told.mode = adapters::group_mode::independent;
        }
        if (lie_ == lie::group_loses_last && work.operations.size() > 5) {
            told.operations = work.operations.first(work.operations.size() - 1);
        }
        const auto step = honest_->run(told, sink, results, memory);
        for (const auto* op : work.operations) {
            spoil(*op, rows, results[op->index]);
        }
        return step;
    }

    adapters::step_result seal(std::span<const adapters::sealed_reply> replies) override {
        std::vector<adapters::sealed_reply> told{replies.begin(), replies.end()};
        if (lie_ == lie::inbox_ignores_principal) {
            for (auto& each : told) {
                each.identity.principal = "everybody";
            }
        }
        return honest_->seal(told);
    }

    adapters::commit_result commit() override {
        if (lie_ == lie::commit_loses) {
            honest_->rollback();
            return adapters::commit_result::applied;
        }
        return honest_->commit();
    }

    void rollback() override {
        if (lie_ == lie::rollback_keeps) {
            honest_->commit();
        } else {
            honest_->rollback();
        }
    }

private:
    void spoil(const adapters::bound_operation& op, core::row_sink& rows, core::outcome& result) {
        using core::code;
        if (lie_ == lie::duplicate_hides_field && result.code == code::duplicate_key) {
            result.field = {};
        }
        if (lie_ == lie::not_found_is_ok && result.code == code::not_found) {
            result = {};
            rows.count(op.index, 0);
        }
        if (lie_ == lie::conflict_is_not_found && result.code == code::conflict) {
            result.code = code::not_found;
        }
        if (lie_ == lie::effect_is_hopeful && op.op == core::verb::update && result.ok()) {
            result.effect = core::effect::applied;
        }
        if (lie_ == lie::count_is_changed && op.op == core::verb::update && result.ok() &&
            !op.set.empty() && op.set[0].value.type == core::value::kind::string &&
            op.set[0].value.text == "x") {
            // The row had this value already: "0 rows changed".
            rows.reset(op.index);
            rows.count(op.index, 0);
            result.effect = core::effect::none;
        }
        if (lie_ == lie::next_always && op.op == core::verb::find && result.ok() &&
            op.after.empty() && op.limit > 100) {
            const std::vector<core::value> nulls(op.sort.size());
            rows.next(op.index, op.cursor_tag, nulls);
        }
    }

    lie lie_;
    std::unique_ptr<adapters::session> honest_;
};

class lying_adapter final : public adapters::adapter {
public:
    explicit lying_adapter(lie told) : lie_(told) {}

    [[nodiscard]] std::string_view engine_name() const override { return "liar"; }
    [[nodiscard]] const std::string& connection_name() const override {
        return honest_->connection_name();
    }
    [[nodiscard]] adapters::capabilities can() const override { return honest_->can(); }
    [[nodiscard]] std::unique_ptr<adapters::session>
    open_session(adapters::session_context context) override {
        return std::make_unique<lying_session>(lie_, honest_->open_session(std::move(context)));
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

    std::shared_ptr<adapters::adapter> honest_ = adapters::make_memory("rel");

private:
    lie lie_;
};

class lying_fixture final : public testing::conformance_fixture {
public:
    explicit lying_fixture(lie told) : adapter_(told) {}

    [[nodiscard]] adapters::adapter& adapter() override { return adapter_; }
    [[nodiscard]] templates::engine store() const override { return templates::engine::rel; }
    void prepare(const templates::template_def& target) override {
        const auto session = adapter_.honest_->open_session({});
        session->connect(core::deadline::never());
        testing::operations ops;
        ops.remove(target);
        core::arena memory;
        std::vector<adapters::stored_reply> known;
        std::vector<core::outcome> outcomes(1);
        testing::recording_sink sink;
        session->begin(adapters::work_kind::write, core::deadline::never(), {},
                       adapters::lookup::none, memory, known);
        session->run(ops.group(), sink, outcomes, memory);
        session->commit();
    }
    [[nodiscard]] testing::conformance_traits traits() const override {
        return {.patience = std::chrono::milliseconds{500}};
    }

private:
    lying_adapter adapter_;
};

} // namespace

TEST_CASE("the suite finds every lie") {
    for (const auto told : all_lies) {
        lying_fixture fixture{told};
        std::string found;
        for (const auto& each : testing::conformance_cases()) {
            // These may wait for ever on an engine that loses writes or ignores deadlines.
            if (each.name.starts_with("concurrent") ||
                (told == lie::deadline_ignored && each.name.starts_with("an open unit"))) {
                continue;
            }
            const auto result = testing::run_case(each, fixture);
            if (result.verdict == testing::conformance_verdict::failed) {
                found = result.name + ": " + result.text;
                break;
            }
        }
        INFO("lie number " << static_cast<int>(told));
        CHECK_FALSE(found.empty());
        if (!found.empty()) {
            UNSCOPED_INFO(found);
        }
    }
}

TEST_CASE("names of cases are unique and the suite is not empty") {
    std::vector<std::string> names;
    for (const auto& each : testing::conformance_cases()) {
        names.push_back(each.name);
    }
    CHECK(names.size() >= 70);
    std::sort(names.begin(), names.end());
    CHECK(std::adjacent_find(names.begin(), names.end()) == names.end());
}

TEST_CASE("a skip and any exception become results") {
    lying_fixture fixture{lie::none};
    using testing::conformance_verdict;
    CHECK(testing::run_case({"a", [](auto&) {}}, fixture).verdict == conformance_verdict::passed);
    const auto skipped =
        testing::run_case({"b", [](auto&) { throw testing::conformance_skip{"why"}; }}, fixture);
    CHECK(skipped.verdict == conformance_verdict::skipped);
    CHECK(skipped.text == "why");
    const auto failed =
        testing::run_case({"c", [](auto&) { throw std::runtime_error{"what"}; }}, fixture);
    CHECK(failed.verdict == conformance_verdict::failed);
    CHECK(failed.text == "what");
    CHECK(testing::run_conformance(fixture, "no such case").empty());
}
