#include "factory/impl.hpp"

#include <algorithm>
#include <thread>

namespace beds::factory {

void factory::impl::set_aside() {
    // What a procedure committed cannot be taken back: nothing of its envelope runs again.
    const auto committed = [this](const planned* op) {
        return op->mode != core::envelope_mode::each &&
               std::any_of(open.begin(), open.end(), [&](const planned* other) {
                   return other->message == op->message &&
                          results[other->bound.index].effect == effect::unknown;
               });
    };
    const auto busy = [&](const planned* op) {
        return is_busy(results[op->bound.index]) && !committed(op);
    };
    if (std::none_of(open.begin(), open.end(), busy)) {
        return;
    }
    for (const auto* op : open) {
        if (busy(op)) {
            held_from[op->message] = 1;
        }
    }
    std::erase_if(open, [&](planned* op) {
        const bool goes =
            busy(op) || (op->mode != core::envelope_mode::each && held_from[op->message] != 0 &&
                         !results[op->bound.index].ok());
        if (goes) {
            sink->reset(op->bound.index);
            aside.push_back(op);
        }
        return goes;
    });
    live::add(counters->reruns);
}

bool factory::impl::are_one(std::span<const planned* const> operations) {
    const auto* first = operations.front();
    return operations.size() == 1 ||
           (first->mode != core::envelope_mode::each &&
            std::all_of(operations.begin(), operations.end(),
                        [first](const auto* op) { return op->message == first->message; }));
}

void factory::impl::take_one() {
    const auto one = std::find_if(aside.begin(), aside.end(), [this](const planned* candidate) {
        return std::none_of(aside.begin(), aside.end(), [candidate](const planned* other) {
            return other->message == candidate->message && other->wave < candidate->wave;
        });
    });
    const planned* const chosen = *one;
    std::erase_if(aside, [&](planned* op) {
        const bool goes = op == chosen ||
                          (op->message == chosen->message && op->mode != core::envelope_mode::each);
        if (goes) {
            open.push_back(op);
        }
        return goes;
    });
}

void factory::impl::run_aside() {
    constexpr std::chrono::milliseconds longest_pause{100};
    std::chrono::milliseconds pause{5};
    while (!aside.empty()) {
        const auto before = aside.size();
        const bool one = are_one(aside);
        open.clear();
        if (apart) {
            take_one();
        } else {
            open.swap(aside);
        }
        const bool writes =
            std::any_of(open.begin(), open.end(), [](const auto* op) { return op->writes; });
        run_transaction(writes ? work_kind::write : work_kind::read, lookup::all, false,
                        one ? wait_of_one : wait_of_several);
        if (aside.size() < before) {
            pause = std::chrono::milliseconds{5};
        } else if (!one) {
            std::this_thread::sleep_for(pause);
            pause = std::min(2 * pause, longest_pause);
        }
    }
    apart = false;
}

} // namespace beds::factory
