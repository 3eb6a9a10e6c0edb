#pragma once

#include <beds/adapters/bound.hpp>

namespace beds::adapters {

/// For operations whose results nobody reads. Whoever wants some of them overrides those.
class no_rows_sink : public core::row_sink {
public:
    void reset(core::op_index) override {}
    void begin_row(core::op_index, const core::row_layout&) override {}
    void cell(const core::value&) override {}
    void end_row() override {}
    void share_rows(core::op_index, core::op_index) override {}
    void no_rows(core::op_index) override {}
    void next(core::op_index, std::uint64_t, std::span<const core::value>) override {}
    void total(core::op_index, std::uint64_t) override {}
    void exists(core::op_index, bool) override {}
    void count(core::op_index, std::uint64_t) override {}
    void key(core::op_index, const core::row_layout&, std::span<const core::value>) override {}
    void begin_set(core::op_index, std::string_view) override {}
    void out(core::op_index, const core::row_layout&, std::span<const core::value>) override {}
};

} // namespace beds::adapters
