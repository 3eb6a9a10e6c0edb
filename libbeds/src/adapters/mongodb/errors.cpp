#include "adapters/mongodb/errors.hpp"

#include <algorithm>
#include <array>

namespace beds::adapters::mongodb {

meaning meaning_of(std::int32_t server_code) {
    using core::code;
    switch (server_code) {
    case 11000:
    case 11001:
    case 12582:
        return {code::duplicate_key, "a row with this key is already there"};
    case 13:   // Unauthorized
    case 18:   // AuthenticationFailed
    case 8000: // Atlas
        return {code::backend_permission_denied, "the database does not permit this operation"};
    case 121: // DocumentValidationFailure
        return {code::constraint, "the database's rules refuse the values"};
    case 14:    // TypeMismatch
    case 28:    // PathNotViable
    case 52:    // DollarPrefixedFieldName
    case 55:    // InvalidDBRef
    case 57:    // DottedFieldName
    case 66:    // ImmutableField
    case 17280: // KeyTooLong
        return {code::constraint, "the database cannot store these values"};
    case 17419: // too large after the update
    case 17420: // too large to insert
    case 10334: // BSONObjectTooLarge
        return {code::limit_exceeded, "the row is larger than the database takes"};
    case 50:  // MaxTimeMSExpired
    case 262: // ExceededTimeLimit
        return {code::deadline_exceeded, "the deadline passed while the database worked"};
    case 24:  // LockTimeout
    case 46:  // LockBusy
    case 112: // WriteConflict
        return {code::backend_conflict, "another operation holds the row"};
    case 14031: // OutOfDiskSpace
        return {code::backend_storage_full, "the database has no space left"};
    case 6:     // HostUnreachable
    case 7:     // HostNotFound
    case 64:    // WriteConcernFailed
    case 89:    // NetworkTimeout
    case 91:    // ShutdownInProgress
    case 189:   // PrimarySteppedDown
    case 9001:  // SocketException
    case 10107: // NotWritablePrimary
    case 10058: // LegacyNotPrimary
    case 11600: // InterruptedAtShutdown
    case 11602: // InterruptedDueToReplStateChange
    case 13435: // NotPrimaryNoSecondaryOk
    case 13436: // NotPrimaryOrSecondary
        return {code::backend_unavailable, "the database is not available"};
    case 115: // CommandNotSupported
        return {code::unsupported, "this database server cannot do this"};
    default:
        return {code::internal, "the database refused the operation"};
    }
}

std::int32_t code_of_one_write(std::int32_t server_code) {
    constexpr std::int32_t bad_value = 2;
    constexpr std::int32_t type_mismatch = 14;
    return server_code == bad_value ? type_mismatch : server_code;
}

bool certainly_nothing_done(std::int32_t server_code) {
    // Refused before it began: rights, a command that is not understood, a server that takes no
    // writes. Whatever else ends a whole command may have ended it halfway.
    constexpr std::array before{2,     9,     13,    14,    18,    20,    26,    59,
                                72,    73,    115,   166,   8000,  10058, 10107, 10334,
                                13435, 13436, 17420, 40324, 40414, 40415};
    return std::find(before.begin(), before.end(), server_code) != before.end();
}

bool no_pipeline_began(std::int32_t server_code) {
    // `$merge` and `$out` write in batches: a value that a later document does not fit (2, 14)
    // comes after earlier ones were written.
    constexpr std::array before{13, 18, 59, 10058, 10107, 13435, 13436, 40324};
    return std::find(before.begin(), before.end(), server_code) != before.end();
}

bool server_is_leaving(std::int32_t server_code) {
    constexpr std::array leaving{91, 189, 10058, 10107, 11600, 11602, 13435, 13436};
    return std::find(leaving.begin(), leaving.end(), server_code) != leaving.end();
}

bool time_is_over(std::int32_t server_code) {
    return server_code == 50 || server_code == 262; // MaxTimeMSExpired, ExceededTimeLimit
}

bool write_certainly_failed(std::int32_t server_code) {
    const auto means = meaning_of(server_code).code;
    return certainly_nothing_done(server_code) ||
           (means != core::code::backend_unavailable && means != core::code::deadline_exceeded);
}

std::string_view index_of_duplicate(std::string_view message) {
    constexpr std::string_view before = " index: ";
    constexpr std::string_view after = " dup key";
    const auto begin = message.find(before);
    if (begin == std::string_view::npos) {
        return {};
    }
    message.remove_prefix(begin + before.size());
    return message.substr(0, message.find(after));
}

namespace {

/// The first string member of that name, or first item of an array of that name, at any depth.
std::optional<std::string> find_name(const bson_iter_t& from, std::string_view wanted, int depth) {
    constexpr int deepest = 12;
    bson_iter_t inner;
    if (depth > deepest || !bson_iter_recurse(&from, &inner)) {
        return std::nullopt;
    }
    while (bson_iter_next(&inner)) {
        const std::string_view name{bson_iter_key(&inner), bson_iter_key_len(&inner)};
        if (name == wanted && BSON_ITER_HOLDS_UTF8(&inner)) {
            std::uint32_t size = 0;
            const char* const text = bson_iter_utf8(&inner, &size);
            return std::string{text, size};
        }
        if (BSON_ITER_HOLDS_ARRAY(&inner) || BSON_ITER_HOLDS_DOCUMENT(&inner)) {
            bson_iter_t item;
            if (name == wanted && bson_iter_recurse(&inner, &item) && bson_iter_next(&item) &&
                BSON_ITER_HOLDS_UTF8(&item)) {
                return std::string{bson_iter_utf8(&item, nullptr)};
            }
            if (auto found = find_name(inner, wanted, depth + 1)) {
                return found;
            }
        }
    }
    return std::nullopt;
}

} // namespace

std::optional<std::string> column_at_fault(const server_error& error) {
    if (!error.has_document) {
        return std::nullopt;
    }
    bson_iter_t inner;
    if (!bson_iter_recurse(&error.document, &inner)) {
        return std::nullopt;
    }
    while (bson_iter_next(&inner)) {
        const std::string_view name{bson_iter_key(&inner), bson_iter_key_len(&inner)};
        if (name == "keyPattern") {
            bson_iter_t key;
            if (bson_iter_recurse(&inner, &key) && bson_iter_next(&key)) {
                return std::string{bson_iter_key(&key)};
            }
        }
        if (name == "errInfo") {
            if (auto found = find_name(inner, "propertyName", 0)) {
                return found;
            }
            return find_name(inner, "missingProperties", 0);
        }
    }
    return std::nullopt;
}

std::optional<templates::field_id> field_of_column(const templates::template_def& target,
                                                   std::string_view column) {
    for (std::size_t i = 0; i < target.fields.size(); ++i) {
        if (target.fields[i].column == column) {
            return static_cast<templates::field_id>(i);
        }
    }
    return std::nullopt;
}

} // namespace beds::adapters::mongodb
