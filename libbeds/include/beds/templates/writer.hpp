#pragma once

#include <beds/templates/template_def.hpp>

#include <map>
#include <string>
#include <vector>

namespace beds::templates {

/// What a person should read beside a template that a program made. Written as comments.
struct remarks {
    std::vector<std::string> head;                ///< lines at the top of the file
    std::map<std::string, std::string> of_fields; ///< by field name, at the end of its line
};

/// The text of a template file that `parse` turns into the same template again (`file` excepted).
/// Keys whose value is the default are left out.
std::string to_toml(const template_def& from, const remarks& beside = {});

/// Gives fields that are known by their columns alone the names that clients will say, and columns
/// that all end alike in `_` and three characters their `tla`. A column's name is taken in lower
/// case, with `_` for what a name cannot hold; clashes are numbered. Sets `fields[…].name` and
/// `tla`; needs `fields[…].column`.
void name_fields(template_def& target);

/// The public name for a table or collection: its own in lower case, without schema and without
/// the configuration's `wbid` and `_` in front.
std::string name_for_object(std::string_view object, std::string_view wbid);

} // namespace beds::templates
