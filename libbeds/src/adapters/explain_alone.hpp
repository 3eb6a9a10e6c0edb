#pragma once

#include <beds/adapters/adapter.hpp>
#include <beds/adapters/bound.hpp>
#include <beds/adapters/explain.hpp>
#include <beds/core/data.hpp>
#include <beds/core/deadline.hpp>

#include <cstddef>
#include <functional>

namespace beds::adapters {

/// Does the operation open a transaction where there are any?
bool writes(const bound_operation& op);

/// Runs the operation by itself through a session that asks for the server's plan, instead of doing
/// anything, as long as `explaining` is set. `read_plan` takes what it wants from the plan, if
/// there is one and it is JSON of at most this depth. Throws as `adapter::explain`.
explanation explain_alone(session& through, explanation*& explaining, const bound_operation& op,
                          core::deadline until, std::size_t most_depth,
                          const std::function<void(const core::datum&, explanation&)>& read_plan);

} // namespace beds::adapters
