#include "failures.hpp"

#include <algorithm>
#include <string_view>

namespace beds_sqlite {

using beds::core::code;
using beds::core::outcome;
using beds::templates::template_def;

namespace {

/// SQL's names, which know no case.
bool same_name(std::string_view left, std::string_view right) {
    return left.size() == right.size() &&
           sqlite3_strnicmp(left.data(), right.data(), static_cast<int>(left.size())) == 0;
}

std::string_view after_last(std::string_view separator, std::string_view text) {
    const auto at = text.rfind(separator);
    return at == std::string_view::npos ? text : text.substr(at + separator.size());
}

/// The public name of the first field that SQLite blames:
///   UNIQUE constraint failed: accounts.email, accounts.country
///   CHECK constraint failed: email          (schema.cpp names checks by their columns)
///   cannot store TEXT value in INT column accounts.balance
/// Empty for what the template does not know.
std::string_view blamed_field(std::string_view message, const template_def& target) {
    auto first = message.find(": ") == std::string_view::npos ? after_last(" ", message)
                                                              : after_last(": ", message);
    first = first.substr(0, first.find(", "));
    const auto column = after_last(".", first);
    const auto& fields = target.fields;
    const auto found = std::find_if(fields.begin(), fields.end(), [&](const auto& field) {
        return same_name(field.column, column);
    });
    return found == fields.end() ? std::string_view{} : std::string_view{found->name};
}

outcome constraint_outcome(const sqlite_error& why, const template_def& target) {
    const auto field = blamed_field(why.what(), target);
    switch (why.code()) {
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
    case SQLITE_CONSTRAINT_UNIQUE:
        return outcome::failure(code::duplicate_key, "a row with this value is there already",
                                field);
    case SQLITE_CONSTRAINT_NOTNULL:
        return outcome::failure(code::constraint, "the field must have a value", field);
    case SQLITE_CONSTRAINT_CHECK:
    case SQLITE_CONSTRAINT_DATATYPE:
        return outcome::failure(code::constraint, "the column does not take this value", field);
    case SQLITE_CONSTRAINT_FOREIGNKEY:
        return outcome::failure(code::constraint,
                                "the row refers to one that is not there, or others refer to it");
    default:
        return outcome::failure(code::constraint, "a rule of the database refuses this");
    }
}

} // namespace

reach reach_of(const sqlite_error& why) {
    switch (why.family()) {
    case SQLITE_BUSY:
    case SQLITE_INTERRUPT:
        return reach::unit;
    case SQLITE_CANTOPEN:
    case SQLITE_CORRUPT:
    case SQLITE_IOERR:
    case SQLITE_NOMEM:
    case SQLITE_NOTADB:
    case SQLITE_PROTOCOL:
        return reach::session;
    default:
        return reach::operation;
    }
}

outcome outcome_of(const sqlite_error& why, const template_def& target) {
    switch (why.family()) {
    case SQLITE_CONSTRAINT:
        return constraint_outcome(why, target);
    case SQLITE_MISMATCH:
        return outcome::failure(code::constraint, "a value does not fit its column");
    case SQLITE_TOOBIG:
        return outcome::failure(code::limit_exceeded, "more than the database keeps in one row");
    case SQLITE_FULL:
        return outcome::failure(code::backend_storage_full, "the database is out of space");
    case SQLITE_AUTH:
    case SQLITE_PERM:
    case SQLITE_READONLY:
        return outcome::failure(code::backend_permission_denied,
                                "the database does not allow this to BEDS");
    case SQLITE_LOCKED:
        return outcome::failure(code::backend_conflict, "the table is being used");
    default:
        return outcome::failure(code::internal, "the database refused the statement");
    }
}

} // namespace beds_sqlite
