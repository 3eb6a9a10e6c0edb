#pragma once

#include "arguments.hpp"
#include "check.hpp"
#include "dead_letters.hpp"
#include "exit_code.hpp"
#include "export.hpp"
#include "import.hpp"
#include "scaffold.hpp"
#include "topology.hpp"

#include <chrono>
#include <filesystem>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <variant>

namespace bedsctl {

enum class task {
    call,
    stream, ///< `call --json FILE`: NDJSON in, NDJSON out
    describe,
    status,
    dead_letters, ///< `dlq`
    check,        ///< templates beside the live databases
    explain,      ///< how a database would do an operation
    scaffold,
    schema,
    topology,
    import_rows, ///< `import`
    export_rows, ///< `export`
};

enum class format { table, json };

/// In whose words `describe` answers.
enum class contract_form { own, json_schema, asyncapi };

/// Where the BEDS service is. Of `url` and `config` at most one is given.
struct connection_options {
    std::string url = {};
    std::filesystem::path config = {};
    std::string service = {}; ///< role; empty: `app_server`, or the only one that is configured
    std::optional<std::string> queue_tag = {};
};

struct options {
    bedsctl::task task = task::call;
    connection_options connection = {};
    std::optional<format> output = {}; ///< nothing: a table on a terminal, else JSON
    std::chrono::milliseconds timeout{10'000};
    call_arguments call = {};
    std::string id = {};                 ///< idempotency key of the request
    std::string order = {};              ///< `request::order`
    std::string input = {};              ///< of `stream`; `-` is standard input
    std::string described_template = {}; ///< empty: all
    contract_form described_as = contract_form::own;
    std::string engine = "mariadb"; ///< of `schema`
    bool grants = false;            ///< of `schema`: the rights instead of the objects
    bool indexes = false;           ///< of `schema`: the templates' indexes, too
    std::string account = {};       ///< of `schema --grants`
    std::string admin = {};         ///< of `status`: address of the node's admin pages
    letter_options letters = {};
    check_options check = {};
    scaffold_options scaffold = {};
    topology_options topology = {};
    import_options importing = {};
    export_options exporting = {};
    bool in_process = false; ///< of `import` and `export`: without RabbitMQ and bedsd
};

using environment = std::function<std::optional<std::string>(const char* name)>;

/// The command line's meaning, or the code to end with at once: after `--help` and `--version`
/// (printed to `out`) and after a mistake (explained on `err`). AMQP_URL, BEDS_QUEUE_TAG and
/// BEDS_CONFIG stand for the options that are not given.
std::variant<options, exit_code> parse_options(int argc, const char* const* argv,
                                               const environment& variables, std::ostream& out,
                                               std::ostream& err);

/// `10`, `10s`, `500ms`, `2m`; nothing when it is no time above zero and up to a day.
std::optional<std::chrono::milliseconds> parse_timeout(std::string_view text);

} // namespace bedsctl
