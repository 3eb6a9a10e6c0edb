#pragma once

#include <beds/templates/template_def.hpp>
#include <beds/templates/writer.hpp>

#include <string>
#include <vector>

namespace beds::adapters {

/// An object of a live database in a template's words. `found` lacks what a database cannot know:
/// `name`, `service` and `connection`; `beside` says what a template cannot say.
struct surveyed {
    templates::template_def found;
    templates::remarks beside;
};

} // namespace beds::adapters
