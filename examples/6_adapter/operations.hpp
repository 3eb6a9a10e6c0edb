// One operation of a unit of work: its statements, its rows, its outcome.
#pragma once

#include "database.hpp"

#include <beds/adapters/bound.hpp>
#include <beds/core/arena.hpp>
#include <beds/core/outcome.hpp>
#include <beds/core/row.hpp>

namespace beds_sqlite {

bool writes(const beds::adapters::bound_operation& op);

/// Throws sqlite_error. An outcome that is not ok may leave rows in the sink and half of the
/// operation in the database: the caller undoes both.
beds::core::outcome run(const beds::adapters::bound_operation& op, database& on,
                        beds::core::row_sink& rows, beds::core::arena& memory);

} // namespace beds_sqlite
