#include "adapters/no_rows.hpp"
#include "factory/impl.hpp"

#include <algorithm>
#include <exception>

namespace beds::factory {

using adapters::bound_operation;

namespace {

/// Keeps one row.
class one_row final : public adapters::no_rows_sink {
public:
    explicit one_row(core::arena& memory) : memory_(memory) {}
    void begin_row(core::op_index, const core::row_layout& layout) override {
        cells_ = memory_.make_span<core::value>(layout.size());
        next_ = 0;
    }
    void cell(const core::value& given) override {
        auto& to = cells_[next_++];
        to = given;
        to.text = memory_.copy(given.text);
    }
    [[nodiscard]] std::span<const core::value> cells() const { return cells_; }

private:
    core::arena& memory_;
    std::span<core::value> cells_;
    std::size_t next_ = 0;
};

} // namespace

/// What a custom template sees of the group under way.
class factory::impl::custom_unit final : public custom_work {
public:
    custom_unit(impl& owner, std::vector<const bound_operation*> work)
        : owner_(owner), work_(std::move(work)), answered_(work_.size()), applied_(work_.size()) {}

    [[nodiscard]] operation_list operations() const override { return work_; }
    [[nodiscard]] lineage lineage_of(const bound_operation& op) const override {
        for (const auto& one : owner_.batch) {
            if (op.index >= one.first && op.index < one.first + one.results.size()) {
                const auto& caller = one.request;
                return {.event = one.event,
                        .parent = caller.event,
                        .depth = caller.event.empty() ? 0 : caller.depth + 1};
            }
        }
        return {};
    }
    [[nodiscard]] state run(operation_list these) override {
        if (step != step_result::done || these.empty()) {
            return now();
        }
        for (const auto* op : these) {
            note(*op);
        }
        step = owner_.session->run({adapters::group_mode::independent, these}, *owner_.sink,
                                   owner_.results_and_own, *owner_.memory);
        for (const auto* op : these) {
            if (const auto at = place_of(*op); at < work_.size()) {
                applied_[at] = owner_.results[op->index].effect != effect::none;
            }
        }
        return now();
    }
    core::outcome& result(const bound_operation& op) override {
        note(op);
        return owner_.results[op.index];
    }
    core::row_sink& rows() override { return *owner_.sink; }
    core::arena& memory() override { return *owner_.memory; }
    [[nodiscard]] const templates::template_def* find(std::string_view name) const override {
        const auto* found = owner_.registry->find(name);
        return found != nullptr && found->connection == owner_.connection ? found : nullptr;
    }

    [[nodiscard]] row_seen fetch(const templates::template_def& of,
                                 std::span<const core::value> key) override {
        bound_operation op;
        op.op = core::verb::fetch;
        op.target = &of;
        op.key = key;
        op.fields = owner_.bind.info(of).all_fields;
        op.layout = &of.all_fields;
        core::outcome to;
        one_row* row = nullptr;
        const auto how = run_own(op, to, row);
        if (how == state::goes_on && !to.ok()) {
            throw core::error(core::errc::refused, std::string{to.detail});
        }
        return {how, row == nullptr ? std::span<const core::value>{} : row->cells()};
    }
    [[nodiscard]] state insert(const templates::template_def& into,
                               std::span<const adapters::assignment> row,
                               core::outcome& to) override {
        bound_operation op;
        op.op = core::verb::insert;
        op.target = &into;
        const std::span<const adapters::assignment> rows[] = {row};
        op.rows = rows;
        return write(op, to);
    }
    [[nodiscard]] state update(const templates::template_def& of, std::span<const core::value> key,
                               std::span<const adapters::assignment> set,
                               std::span<const adapters::assignment> inc,
                               core::outcome& to) override {
        bound_operation op;
        op.op = core::verb::update;
        op.target = &of;
        op.key = key;
        op.set = set;
        op.inc = inc;
        return write(op, to);
    }
    [[nodiscard]] state remove(const templates::template_def& of, std::span<const core::value> key,
                               core::outcome& to) override {
        bound_operation op;
        op.op = core::verb::remove;
        op.target = &of;
        op.key = key;
        return write(op, to);
    }

    /// Those that nobody answered are.
    void answer_rest(std::string_view why) {
        for (std::size_t i = 0; i < work_.size(); ++i) {
            if (!answered_[i]) {
                owner_.results[work_[i]->index] = outcome::failure(code::internal, why);
            }
        }
    }
    void answer_all(std::string_view why) {
        answered_.assign(work_.size(), false);
        answer_rest(why);
    }

    /// Was something done for an operation that failed?
    [[nodiscard]] bool left_behind() const {
        for (std::size_t i = 0; i < work_.size(); ++i) {
            if (!owner_.results[work_[i]->index].ok() && (wrote_ || applied_[i])) {
                return true;
            }
        }
        return false;
    }

    step_result step = step_result::done;

private:
    [[nodiscard]] state now() const {
        return step == step_result::done ? state::goes_on : state::over;
    }
    [[nodiscard]] std::size_t place_of(const bound_operation& op) const {
        return static_cast<std::size_t>(std::find(work_.begin(), work_.end(), &op) - work_.begin());
    }
    void note(const bound_operation& op) {
        if (const auto at = place_of(op); at < work_.size()) {
            answered_[at] = true;
        }
    }
    state write(bound_operation& op, core::outcome& to) {
        if (!owner_.context.writes) {
            to = outcome::failure(code::internal, "a write of a custom template that only reads");
            return now();
        }
        one_row* row = nullptr;
        const auto how = run_own(op, to, row);
        wrote_ = wrote_ || to.effect != effect::none;
        return how;
    }
    state run_own(bound_operation& op, core::outcome& to, one_row*& row) {
        if (step != step_result::done) {
            return state::over;
        }
        op.asked = op.op;
        if (op.target->soft_delete) { // here, too, rows with a mark are not there
            owner_.bind.mark_instead(owner_.taken.system_now(), *owner_.memory, op);
        }
        // Behind all operations of the batch: the inbox knows nothing of it.
        op.index = static_cast<core::op_index>(owner_.results.size());
        op.deadline = work_.front()->deadline;
        const bound_operation* const alone[] = {&op};
        owner_.results_and_own[op.index] = {};
        auto made = std::make_unique<one_row>(*owner_.memory);
        row = made.get();
        step = owner_.session->run({adapters::group_mode::independent, alone}, *made,
                                   owner_.results_and_own, *owner_.memory);
        owner_.own_rows = std::move(made); // the session may turn to it until the unit ends
        to = owner_.results_and_own[op.index];
        return now();
    }

    impl& owner_;
    std::vector<const bound_operation*> work_;
    std::vector<bool> answered_;
    std::vector<bool> applied_; ///< by the engine
    bool wrote_ = false;        ///< something of its own
};

void factory::impl::make_customs() {
    customs.clear();
    if (given.customs.empty()) {
        return;
    }
    customs.resize(registry->all().size());
    for (const auto& [name, make] : given.customs) {
        if (const auto* target = registry->find(name); target != nullptr) {
            customs[static_cast<std::size_t>(target - registry->all().data())] = make();
        }
    }
}

custom_template* factory::impl::custom_of(const bound_operation& op) const {
    if (customs.empty()) {
        return nullptr;
    }
    auto* const found = customs[static_cast<std::size_t>(op.target - registry->all().data())].get();
    return found != nullptr && found->takes(op.asked, op.call) ? found : nullptr;
}

step_result factory::impl::run_custom(custom_template& by) {
    custom_unit work{*this, group};
    const auto blame = [&](std::string_view what) {
        context.log.write(observe::level::error, "BEDS_CUSTOM_FAILED", context.name,
                          "custom template '" + group.front()->target->name +
                              "': " + std::string{what});
        work.answer_all("the code of this template failed");
    };
    try {
        by.run(work);
    } catch (const std::exception& failed) {
        blame(failed.what());
    } catch (...) {
        blame("it threw something");
    }
    if (work.step != step_result::done) {
        return work.step;
    }
    work.answer_rest("the code of this template gave no answer");
    if (!work.left_behind()) {
        return step_result::done;
    }
    for (const auto* op : group) {
        auto& result = results[op->index];
        if (!result.ok() && can.transactions) {
            answer(op->index, result);
        } else if (!result.ok()) { // what was written stays
            result.effect = effect::unknown;
        }
    }
    if (!can.transactions) {
        return step_result::done;
    }
    // What these wrote is undone with the unit; the rest of it runs again.
    for (const auto* op : open) {
        if (stages[op->bound.index] == stage::answered && !results[op->bound.index].ok()) {
            stop_message(*op, open);
        }
    }
    undo_custom = true;
    return step_result::rerun;
}

} // namespace beds::factory
