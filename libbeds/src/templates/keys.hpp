#pragma once

#include <span>
#include <string_view>

namespace beds::templates {

/// One key of a template file. The reader accepts exactly these, and the reference prints them.
struct key_row {
    std::string_view name;
    std::string_view value;  ///< what may be given
    std::string_view absent; ///< what holds without it; "required"
    std::string_view meaning;
};

using key_table = std::span<const key_row>;

struct section_keys {
    std::string_view title; ///< as the file writes it: `[template]`
    key_table rows;
};

namespace keys {
extern const key_table root;
extern const key_table about; ///< `[template]`
extern const key_table field;
extern const key_table index;
extern const key_table protect;
extern const key_table read;
extern const key_table write;
extern const key_table call;
extern const key_table returns;
extern const key_table limits;
extern const key_table features;
/// All of them but the root, in the order of the reference.
std::span<const section_keys> sections();
} // namespace keys

} // namespace beds::templates
