#pragma once

#include <beds/adapters/memory.hpp>
#include <beds/testing/make.hpp>
#include <beds/testing/recording_sink.hpp>

#include <memory>
#include <vector>

namespace beds::tests {

struct answer {
    testing::recording_sink sink;
    std::vector<core::outcome> outcomes;
    adapters::step_result step = adapters::step_result::done;
};

inline std::unique_ptr<adapters::session> connected(adapters::adapter& to) {
    adapters::session_context context;
    context.name = "test";
    auto made = to.open_session(std::move(context));
    made->connect(core::deadline::never());
    return made;
}

inline adapters::step_result begin(adapters::session& on, adapters::work_kind kind,
                                   core::deadline until = core::deadline::never()) {
    core::arena memory;
    std::vector<adapters::stored_reply> known;
    return on.begin(kind, until, {}, adapters::lookup::none, memory, known);
}

/// One unit of one group, committed.
inline answer run(adapters::session& on, testing::operations& ops,
                  adapters::group_mode mode = adapters::group_mode::independent,
                  adapters::work_kind kind = adapters::work_kind::write) {
    answer got;
    got.outcomes.resize(ops.size());
    got.step = begin(on, kind);
    got.step = on.run(ops.group(mode), got.sink, got.outcomes, ops.memory());
    on.commit();
    return got;
}

} // namespace beds::tests
