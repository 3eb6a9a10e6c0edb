// What SQLite's errors mean: for the unit of work, and for the caller of one operation.
#pragma once

#include "database.hpp"

#include <beds/core/outcome.hpp>
#include <beds/templates/template_def.hpp>

namespace beds_sqlite {

/// Whom an error concerns.
enum class reach {
    operation, ///< this one fails, others go on
    unit,      ///< its time is over
    session,   ///< nothing can be trusted that this connection says
};
reach reach_of(const sqlite_error& why);

/// For the caller. Without SQLite's own words, which name tables and columns.
beds::core::outcome outcome_of(const sqlite_error& why,
                               const beds::templates::template_def& target);

} // namespace beds_sqlite
