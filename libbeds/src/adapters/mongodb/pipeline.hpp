#pragma once

#include "adapters/mongodb/bson_writer.hpp"

#include <beds/core/arena.hpp>
#include <beds/core/value.hpp>
#include <beds/templates/template_def.hpp>

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace beds::adapters::mongodb {

/// A template's aggregation, read once. `{"$arg":"name"}` in it is a bound argument; it can stand
/// only where the server takes a value, and is written so that it stays one:
/// in conditions of `$match` under `$eq` (added where it is missing) and its like, in expressions
/// as `$literal`. In `$limit`, `$skip` and other plain settings only numbers can be arguments.
class pipeline {
public:
    /// The stages' text must be JSON; Extended JSON means nothing here.
    explicit pipeline(const templates::call& called);

    /// Why it cannot be used; empty: fine. For the template's author.
    [[nodiscard]] const std::string& problem() const { return problem_; }
    /// Does it end in `$out` or `$merge`?
    [[nodiscard]] bool writes() const;

    /// Writes the stages as the array `name`.
    encode_problem append_to(bson_writer& to, std::string_view name,
                             std::span<const core::value> args, core::arena& memory) const;

private:
    core::arena own_{4096};
    std::string text_;
    core::datum stages_;
    std::vector<templates::argument> arguments_;
    std::string problem_;
};

} // namespace beds::adapters::mongodb
