#include "factory/impl.hpp"

#include <algorithm>
#include <tuple>

namespace beds::factory {

step_result factory::impl::run_open() {
    const auto before = [](const planned* a, const planned* b) {
        return std::tuple{a->mode != core::envelope_mode::each, a->wave, a->rank, a->shape,
                          a->bound.index} < std::tuple{b->mode != core::envelope_mode::each,
                                                       b->wave, b->rank, b->shape, b->bound.index};
    };
    if (!std::is_sorted(open.begin(), open.end(), before)) { // often all of one kind
        std::sort(open.begin(), open.end(), before);
    }
    std::size_t i = 0;
    std::uint32_t unsealed_wave = 0;
    while (i < open.size() && open[i]->mode == core::envelope_mode::each) {
        group.clear();
        const auto* first = open[i];
        // Rows remember few writes: their replies must not wait for the end of a long unit.
        constexpr std::uint32_t most_waves = 8;
        if (!can.transactions && can.inbox && first->wave >= unsealed_wave + most_waves) {
            unsealed_wave = first->wave;
            if (const auto step = seal_answered(); step != step_result::done) {
                return step;
            }
        }
        const auto begin = i;
        for (; i < open.size() && open[i]->mode == core::envelope_mode::each &&
               open[i]->wave == first->wave && open[i]->shape == first->shape &&
               open[i]->int64_as_string == first->int64_as_string &&
               same_shape(open[i]->bound, first->bound);
             ++i) {
            const auto from = held_from[open[i]->message];
            if (from != 0 && open[i]->wave >= from) {
                results[open[i]->bound.index] =
                    outcome::failure(code::backend_conflict, "an earlier operation waits");
                continue;
            }
            group.push_back(&open[i]->bound);
        }
        if (group.empty()) {
            continue;
        }
        if (const auto step = run_group(adapters::group_mode::independent);
            step != step_result::done) {
            return step;
        }
        for (auto at = begin; can.transactions && at < i; ++at) {
            if (is_busy(results[open[at]->bound.index]) && held_from[open[at]->message] == 0) {
                held_from[open[at]->message] = open[at]->wave + 1;
            }
        }
    }
    // Messages with an order of their own, one after another; sorted by position within each
    // because their waves are all zero. The first operation's index orders the messages.
    std::sort(open.begin() + static_cast<std::ptrdiff_t>(i), open.end(),
              [](const planned* a, const planned* b) { return a->bound.index < b->bound.index; });
    while (i < open.size()) {
        const auto begin = i;
        while (i < open.size() && open[i]->message == open[begin]->message) {
            ++i;
        }
        const auto own = std::span{open}.subspan(begin, i - begin);
        const auto step =
            own.front()->mode == core::envelope_mode::atomic ? run_atomic(own) : run_sequence(own);
        if (step != step_result::done) {
            return step;
        }
    }
    return step_result::done;
}

step_result factory::impl::run_group(adapters::group_mode mode) {
    auto* const custom =
        mode == adapters::group_mode::independent ? custom_of(*group.front()) : nullptr;
    const auto step = custom != nullptr ? run_custom(*custom)
                                        : session->run(adapters::group{mode, group}, *sink,
                                                       results_and_own, *memory);
    if (step == step_result::done && !can.transactions) {
        for (const auto* op : group) { // nothing can take it back
            auto& result = results[op->index];
            if (!can.inbox && result.effect != effect::none) {
                result.at_least_once = true;
            }
            // With an inbox and another session it can be learned what became of it. Once: what
            // is not known then stays so.
            auto& may_be = doubts[op->index];
            if (can.inbox && result.effect == effect::unknown && !result.at_least_once &&
                !session->usable() && may_be != doubt::unanswered_commit) {
                may_be = doubt::unanswered_commit;
                look_again = true;
                continue;
            }
            stages[op->index] = stage::answered;
        }
    }
    return step;
}

step_result factory::impl::run_atomic(std::span<planned* const> own) {
    group.clear();
    for (const auto* op : own) {
        group.push_back(&op->bound);
    }
    return run_group(adapters::group_mode::atomic);
}

step_result factory::impl::run_sequence(std::span<planned* const> own) {
    bool failed = stopped[own.front()->message] != 0;
    bool for_good = true;
    for (const auto* op : own) {
        if (failed) {
            results[op->bound.index] = outcome::skip("an earlier operation of the sequence failed");
            if (!can.transactions && for_good) {
                stages[op->bound.index] = stage::answered;
            }
            continue;
        }
        group.assign(1, &op->bound);
        if (const auto step = run_group(adapters::group_mode::independent);
            step != step_result::done) {
            return step;
        }
        failed = !results[op->bound.index].ok();
        for_good = stages[op->bound.index] == stage::answered;
    }
    return step_result::done;
}

} // namespace beds::factory
