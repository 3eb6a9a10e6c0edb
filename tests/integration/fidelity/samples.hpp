#pragma once

#include <beds/core/data.hpp>

#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

/// Random values of every type, as a caller writes them and as they must come back: an oracle that
/// shares no code with the library's codecs.
namespace beds::test {

using random_engine = std::mt19937_64;

/// JSON texts.
struct sample {
    std::string sent;
    std::string wanted;
};

struct typed_field {
    std::string name;
    std::string type;   ///< in the template
    std::string more;   ///< its other keys there: `, max = 100`
    std::string column; ///< in MariaDB
    std::function<sample(random_engine&)> make;
};

/// One field of each type and of each of its widths.
const std::vector<typed_field>& typed_fields();

/// The value as JSON, so that equal values have equal texts: other numbers than integers as the
/// double that they are, in the fewest digits.
std::string canonical(const core::datum& of);
/// Of a JSON text.
std::string canonical(std::string_view json);

/// A template `everything` with an int64 key `id` and all fields, all of them nullable.
std::string everything_template(std::string_view store, std::string_view calls = {});

} // namespace beds::test
