#include "adapters/mariadb/errors.hpp"

namespace beds::adapters::mariadb {
namespace {

using core::code;

constexpr failure of_operation(code what, std::string_view detail) {
    return {reach::operation, what, detail};
}

/// Text between the last two `quote`s.
std::string_view last_quoted(std::string_view text, char quote) {
    const auto end = text.rfind(quote);
    if (end == std::string_view::npos || end == 0) {
        return {};
    }
    const auto begin = text.rfind(quote, end - 1);
    if (begin == std::string_view::npos) {
        return {};
    }
    return text.substr(begin + 1, end - begin - 1);
}

/// Text between the first `opening` and the next `quote`.
std::string_view between(std::string_view text, std::string_view opening, char quote) {
    const auto at = text.find(opening);
    if (at == std::string_view::npos) {
        return {};
    }
    const auto begin = at + opening.size();
    const auto end = text.find(quote, begin);
    return end == std::string_view::npos ? std::string_view{} : text.substr(begin, end - begin);
}

std::string_view after_last_dot(std::string_view name) {
    const auto dot = name.rfind('.');
    return dot == std::string_view::npos ? name : name.substr(dot + 1);
}

} // namespace

failure classify(unsigned number) {
    constexpr unsigned first_client_error = 2000;
    constexpr unsigned last_client_error = 2999;
    if (number >= first_client_error && number <= last_client_error) {
        return {reach::session, code::backend_unavailable, "the connection to the database broke"};
    }
    if (is_misfit(number)) {
        return misfit_failure;
    }
    switch (number) {
    case 1213: // deadlock: InnoDB rolled the transaction back
    case 1206: // no room for more locks: as after a deadlock
    case 1614: // XA deadlock
    case 1020: // record has changed since last read (snapshot isolation)
        return {reach::rerun, code::backend_conflict, "the transaction met a deadlock"};
    case 1969: // max_statement_time
    case 3024: // MySQL: max_execution_time
        return {reach::expired, code::deadline_exceeded, "the deadline passed"};
    case 1053: // server shutdown
    case 1927: // connection was killed
    case 1243: // unknown prepared statement: somebody reset the session
    case 1158:
    case 1159:
    case 1160:
    case 1161: // network errors as the server saw them
    case 4031: // MySQL: disconnected for inactivity
        return {reach::session, code::backend_unavailable, "the connection to the database broke"};

    case 1022:
    case 1062:
    case 1169:
    case 1586:
        return of_operation(code::duplicate_key, "a row with this key exists already");
    case 1216:
    case 1452:
        return of_operation(code::constraint, "the row refers to one that does not exist");
    case 1217:
    case 1451:
        return of_operation(code::constraint, "other rows refer to this one");
    case 1048:
    case 1364:
        return of_operation(code::constraint, "a value is required");
    case 1406:
        return of_operation(code::constraint, "a value is too long");
    case 1264:
    case 1690:
        return of_operation(code::constraint, "a value is out of range");
    case 1265:
    case 1292:
    case 1366:
    case 1367:
    case 1411:
        return of_operation(code::constraint, "a value does not fit its column");
    case 4025: // see is_rule
    case 3819:
    case 1369:
        return of_operation(code::constraint, "a rule of the database refuses these values");

    case 1205: // lock wait timeout; the statement alone was undone
        return of_operation(code::backend_conflict, "another transaction holds these rows");
    case 1317: // KILL QUERY
        return of_operation(code::backend_unavailable, "the statement was stopped at the database");
    case 1044:
    case 1045:
    case 1142:
    case 1143:
    case 1227:
    case 1370:
    case 1698:
        return of_operation(code::backend_permission_denied,
                            "the database does not allow this to BEDS");
    case 1021: // disk full
    case 1041: // out of memory
    case 1037:
    case 1038:
    case 1114: // the table is full
    case 1878: // temporary file write failure
        return of_operation(code::backend_storage_full, "the database is out of space");
    case 1040: // too many connections
    case 1203:
    case 1226: // a limit of the user
    case 1290: // --read-only
    case 1836: // read-only mode
    case 1792: // read-only transaction
    case 1047: // Galera: not ready
    case 1223: // read lock
    case 1461: // too many prepared statements
        return of_operation(code::backend_unavailable, "the database does not take this now");
    case 1153: // bigger than max_allowed_packet
        return of_operation(code::limit_exceeded, "the operation is too large for the database");
    default:
        break;
    }
    return of_operation(code::internal, "the database refused the statement");
}

failure classify(const server_error& why) {
    switch (why.number) {
    case 3:    // error writing file
    case 20:   // disk is full
    case 1005: // cannot create table
    case 1026: // error writing file
    case 1030: // got error … from storage engine
        for (const std::string_view cause :
             {"o space left", "rrno: 28", "rror 28", "isk is full", "isk full"}) {
            if (why.message.find(cause) != std::string::npos) {
                return classify(1021);
            }
        }
        break;
    default:
        break;
    }
    return classify(why.number);
}

bool is_rule(unsigned number) {
    switch (number) {
    case 4025: // CHECK
    case 3819: // MySQL: the same
    case 1369: // CHECK OPTION of a view
        return true;
    default:
        return false;
    }
}

bool is_misfit(unsigned number) {
    switch (number) {
    case 1054:      // unknown column
    case 1136:      // column count does not match value count
    case 1146:      // no such table
    case not_there: // no such procedure
    case 1318:      // wrong number of arguments
    case 1414:      // an OUT argument that was an IN argument
    case 1356:      // the view refers to what is not there, or may not be used
    case 1288:      // the view cannot be updated
    case 1348:      // nor this column of it
    case 1393:      // it has become one of several tables
    case 1394:
    case 1395:
    case 1423: // a column behind the view has no default
    case 1471: // nothing can be inserted into it
    case 1906: // the column has become a generated one
    case 3105: // MySQL: the same
        return true;
    default:
        return false;
    }
}

bool may_end_transaction(unsigned number) {
    const failure what = classify(number);
    if (what.reach != reach::operation || number == not_there) {
        return false;
    }
    switch (what.code) {
    case code::internal:
    case code::backend_conflict:
    case code::backend_storage_full:
    case code::backend_unavailable:
        return true;
    default:
        return false;
    }
}

bool compares_no_text(unsigned number) {
    switch (number) {
    case 1267: // illegal mix of collations: of two
    case 1270: // of three
    case 1271: // of more
    case 1977: // cannot convert a character
    case 3988: // MySQL: the same
        return true;
    default:
        return false;
    }
}

bool commit_refused(unsigned number) {
    switch (number) {
    case 1180: // got error during COMMIT
    case 1317: // interrupted: the commit may have happened already
    case 1053:
    case 1927:
    case 1969:
        return false;
    default:
        return classify(number).reach != reach::session;
    }
}

bool worth_trying_again(unsigned number) {
    switch (number) {
    case 2002:
    case 2003:
    case 2006:
    case 2013:
    case 2055:
    case 2012:
    case 1040:
    case 1203:
    case 1226:
    case 1053:
    case 1129: // host blocked after errors
    case 1927:
    case 1159:
    case 1158:
        return true;
    default:
        return false;
    }
}

std::string_view violated_key(std::string_view message) {
    return after_last_dot(last_quoted(message, '\''));
}

std::string_view blamed_column(unsigned number, std::string_view message) {
    switch (number) {
    case 1048: // Column 'x' cannot be null
        return between(message, "Column '", '\'');
    case 1364: // Field 'x' doesn't have a default value
        return between(message, "Field '", '\'');
    case 1406:   // Data too long for column 'x' at row 1
    case 1264:   // Out of range value for column 'x' at row 1
    case 1265: { // Data truncated for column 'x' at row 1
        return between(message, "for column '", '\'');
    }
    case 1292:
    case 1366: { // Incorrect … value: 'v' for column `db`.`t`.`x` at row 1 (MySQL: 'x')
        const auto at = message.rfind("for column ");
        if (at == std::string_view::npos) {
            return {};
        }
        const auto named = message.substr(at, message.rfind(" at row") - at);
        const auto quoted = last_quoted(named, '`');
        return quoted.empty() ? last_quoted(named, '\'') : quoted;
    }
    case 1452: // … FOREIGN KEY (`x`) REFERENCES …
        return between(message, "FOREIGN KEY (`", '`');
    case 4025: // CONSTRAINT `t.x` failed for `db`.`t`
        return after_last_dot(between(message, "CONSTRAINT `", '`'));
    default:
        return {};
    }
}

} // namespace beds::adapters::mariadb
