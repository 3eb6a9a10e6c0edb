#pragma once

/// The one place that includes toml++. Every file that reads TOML must see the same form of it:
/// parts of the parser that are shared between its forms with and without exceptions have different
/// layouts, so mixing them in one program crashes. The namespace has a name of its own for the same
/// reason: a host program may use toml++ too, in any form and version.
///
/// Header-only, whatever the package asks for: needed to build, not to link or run. Some of the
/// parser's asserts (and, with NDEBUG, its assumptions) do not hold for files like "[[[": without
/// them it reports a proper error.
#undef TOML_HEADER_ONLY
#undef TOML_SHARED_LIB
#undef NDEBUG
#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ASSERT(expression) static_cast<void>(0)
#define toml beds_toml
#include <toml++/toml.h>
