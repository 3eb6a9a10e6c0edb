#include "options.hpp"

#include <beds/core/outcome.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <ostream>

namespace bedsctl {
namespace {

constexpr const char* main_footer = R"(
Where the service is, the first of these that is given:
  --url URL            amqp://user:password@host:port/vhost (amqps:// with TLS); a password on the command
                       line is seen by other users of the machine: prefer the variable
  --config FILE        a configuration as bedsd reads it
  AMQP_URL             as --url
  BEDS_CONFIG          as --config
With a URL the prefix of the queues is --queue-tag or BEDS_QUEUE_TAG; a configuration has its own.

Examples:
  bedsctl describe
  bedsctl call countries fetch key=MX
  bedsctl call accounts transfer from:=1 to:=2 amount=10.00
  bedsctl import people people.csv
  bedsctl export people >people.csv
  bedsctl status
See also: bedsctl call --help

Exit codes:
  0  done
  1  refused: the answer is an error (also DEADLINE_EXCEEDED of the node, effect none); nothing was changed
  2  wrong command line or configuration
  3  the effect is unknown (send the same again with the same --id to learn it), RabbitMQ, the node or
     its database could not be reached, or no answer came within --timeout)";

constexpr const char* describe_footer = R"(
Examples:
  bedsctl describe
  bedsctl describe countries
  bedsctl describe --as asyncapi >asyncapi.json

Exit codes: 0 done, 1 refused, 2 wrong command line or configuration, 3 nobody answered in time)";

constexpr const char* status_footer = R"(
Asks one node, not the service: at --admin, at `listen` of [admin] in the configuration (--config,
BEDS_CONFIG), or at 127.0.0.1:9464.

Exit codes: 0 ready, 1 not ready, 2 wrong command line or configuration, 3 no node answers)";

constexpr const char* check_footer = R"(
Compares the templates of the configuration (--config, BEDS_CONFIG) with its databases, with the node's own
account: tables, views, columns, their types and collations, what may be NULL, keys and indexes, procedures
and their parameters; of MongoDB collections, views, indexes, pipelines, rights, and the types that some
documents hold. An error is what a template promises and its database cannot keep; a warning is what will be
refused of some requests. --diff shows a template that differs beside the one that scaffold would write,
under its names: - is the template's line, + the database's.

Exit codes: 0 no error, 1 errors, 2 wrong command line or configuration, 3 a database could not be reached)";

constexpr const char* explain_footer = R"(
Asks the database of the configuration (--config, BEDS_CONFIG) with the node's own account how it would do
an operation that comes alone, and does nothing of it: the first statement or command that a node would
send, with ? for each value, then what the server says it reads, by which index, and what gets slow as the
data grows. The operation is given as for bedsctl call; values matter to the plan, so give real ones, and ask
a database with as much in it as the real one has. With --output json there is all of the server's plan
(EXPLAIN FORMAT=JSON, or MongoDB's explain). Servers explain neither a procedure nor, on MongoDB, an insert.

Examples:
  bedsctl explain --config beds.toml orders find state=new --sort=-created
  bedsctl explain --config beds.toml accounts update key=1 status=frozen

Exit codes: 0 explained, also with warnings, 1 a node would refuse it, 2 wrong command line or configuration,
3 the database could not be reached)";

constexpr const char* scaffold_footer = R"(
Asks the database of the configuration (--config, BEDS_CONFIG) with the node's own account and writes what
it says of a table or view as a template: names, types, keys, defaults, indexes; of a MongoDB what up to 1,000
documents of a collection look like, and its indexes. What a template cannot say
stands beside it as a comment. It is a beginning: read it, take out what applications have no business with,
and let bedsd --check read it.

--procedures FILE is for those who let BEDS touch no table ([templates] direct = "deny"): for a table T it
writes SQL for a view T_view and the procedures T_insert, T_update and T_delete, with a template that uses
them. Run the file with an account that may use the tables; `bedsctl schema --grants` then asks for SELECT
on the view and EXECUTE on the procedures only. `if` takes columns that are NOT NULL, and not with deletes.

Examples:
  bedsctl scaffold --config beds.toml ms_accounts
  bedsctl scaffold --config beds.toml ms_accounts --directory templates --procedures accounts.sql
  bedsctl scaffold --config beds.toml --all --directory templates

Exit codes: 0 done, 1 one of them is not there or was not written, 2 wrong command line or configuration,
3 the database could not be reached)";

constexpr const char* schema_footer = R"(
Without --grants and --indexes it prints the objects of BEDS's own, and asks for no configuration. Those read
the configuration (--config, BEDS_CONFIG) and its templates, and contact no server. What --indexes prints is
all that `bedsctl check` looks for in a MongoDB database; run again it changes nothing.

Examples:
  bedsctl schema | mariadb shop
  bedsctl schema --grants --config beds.toml --account "'beds'@'10.0.0.%'" | mariadb
  bedsctl schema --engine mongodb >inbox.js
  bedsctl schema --engine mongodb --indexes --config beds.toml >indexes.js
  bedsctl schema --engine mongodb --grants --config beds.toml >role.js

Exit codes: 0 done, 2 wrong command line, configuration or template)";

constexpr const char* topology_footer = R"(
For a service whose configuration says declare = "passive": the operator makes what the node then only looks
for. Needs the node's configuration (--config, BEDS_CONFIG) and its templates; asks no server.

Definitions hold the vhost, the node's account with its password (as RabbitMQ hashes it: keep them as you
keep the password) and its rights, exchanges, queues and bindings, and of each --application an account that
may send requests and read its own replies: NAME has to exist already, NAME=FILE is made with the password
in FILE. An account named guest is left alone.

Examples:
  bedsctl topology --config beds.toml
  bedsctl topology --config beds.toml --definitions --application shop=shop.password >definitions.json
  rabbitmqctl import_definitions definitions.json

Exit codes: 0 done, 2 wrong command line, configuration or template)";

constexpr const char* dlq_footer = R"(
Dead letters are requests that failed and whose sender could not be told; {tag}dead holds them. Use the
node's own account (--config): only what it sends again keeps its first sender and so its id, and is not
applied a second time. What might be is refused: effects that are unknown, and letters older than the
inbox_window of the configuration (with --url: a day). The effect `partly` means that a part of an envelope was
applied and another was not; `show` says what became of each operation. Sent again, what was applied or refused
for good gets its first answer again and only the rest is done. With --new-id what was refused is done as
well, under new ids and without what was applied. An effect that stays unknown although it is sent again
(MongoDB) is done by --new-id --may-happen-twice: look first whether it is there.

Examples:
  bedsctl dlq list                       by cause, the most frequent first; as JSON one object
  bedsctl dlq list --each --code BACKEND_CONFLICT     a line for each letter; as JSON an object for each
  bedsctl dlq show order-4711            values are masked; --reveal shows them
  bedsctl dlq replay order-4711
  bedsctl dlq replay --template accounts --code BACKEND_UNAVAILABLE
  bedsctl dlq replay --new-id --code NOT_FOUND     when the row is there now
  bedsctl dlq replay --deadline 30s --code DEADLINE_EXCEEDED
  bedsctl dlq drop --code INVALID_FIELD

Exit codes: 0 done, 1 something was not found or not taken, 2 wrong command line or configuration,
3 RabbitMQ could not be reached, or somebody else reads the dead letters)";

constexpr const char* import_footer = R"(
Each row of FILE (- is standard input) is an insert of its own. The end of the name tells the format: .csv,
or .ndjson and .jsonl, one object a line with values as the protocol has them. CSV is RFC 4180 in UTF-8 (what
is not is refused; iconv -f latin1 -t utf8 converts); its first line names fields of the template, or --columns
does. An empty field without quotes is NULL, "" an empty string; with --null TEXT the field TEXT without quotes
is NULL, and an empty one an empty string. Truths are true or false (or 1 and 0), times and bytes as in
protocol.md, json fields hold JSON.

A row has an id made of the job and its line, so that within the inbox_window of its database it is inserted
once, however often the same account sends it. The job is --job, or named by the content of the file when it was
first imported: a copy of the file under another name is the same job, and its rows are not inserted again (give
--job for another load of the same rows); without --job standard input is another job each time, and what is
sent twice is inserted twice. FILE.beds-import keeps the job, the account, what was imported (its size and
SHA-256), and up to where everything is answered for good. The same command then
  goes on from there          after Ctrl-C, kill or a lost connection
  sends what is new           when the file has grown: keep FILE.beds-import as long as it grows, since without it
                              a file that has grown is another one, and all of its rows are inserted
  sends nothing               when all was imported and the file is the same
  is refused                  when the file has changed where it was imported, or under another account, of which
                              the inbox does not know the rows: they would be inserted twice
--restart sends all rows. Those that the inbox knows are answered as they were then, and counted with the others:
a reply does not tell which. Of a file that has changed it knows none: all are inserted again, or refused where
their key is there. So they are after the inbox_window, and only with --may-happen-twice.

What fails for a while is sent again, with pauses, for up to --patience. What is refused for good goes to
FILE.rejects.csv (for people.csv: people.rejects.csv), with columns beds:… that say where and why; mend it and
import it (what it leaves is in people.rejects.2.csv): those columns are passed over. A row that is sent again
unchanged is refused as before; when it is the database that was mended, name another --job. --dry-run looks at
the whole file, whatever was imported.

Rows that refer to rows before them need --window 1 --batch 1, or a file of their own.

Examples:
  bedsctl import people people.csv
  bedsctl import people people.csv --dry-run
  bedsctl import people - --format ndjson --job people-2026-07 <people.ndjson
  bedsctl import people old.csv --columns id,name,born --ignore id --null '\N' --rate 500

Exit codes:
  0  all rows are in
  1  the end was reached, and some rows were refused: mend and import them from the file of refused rows
  2  nothing was sent: wrong command line, configuration or header, the file has changed, another account
  3  stopped before the end (the same command goes on), or of some rows it is not known whether they are in
     (the file of refused rows tells which: look for them in the database))";

constexpr const char* export_footer = R"(
Writes the rows in the order of their key to FILE, or to standard output. The end of the name tells the format
(.csv, .ndjson, .jsonl), else --format; default: CSV. What import reads again is the same: NULL is an empty
field without quotes (or --null TEXT), an empty string is "". Pages are read one after the other: rows that are
changed meanwhile are there as they are when their page is read. FILE.partial becomes FILE when it is complete.
One that was stopped is gone on with by the same command, as long as the cursors of the service are good (an hour,
unless its operator says otherwise): FILE.beds-export keeps where it was. --restart begins anew. With --in-process
every run begins anew. A row that cannot be read ends an export: what stands before it is written, and the row and
its field are named. Mend it in the database and say the same again, or leave the field out with --fields.

Examples:
  bedsctl export people people.csv
  bedsctl export people --fields id,name --where country=MX --where born.ge=1990-01-01
  bedsctl export people --format ndjson --limit 1000 | jq .name

Exit codes: 0 done, 1 refused, 2 wrong command line or configuration, or where it was is not known any more,
3 stopped before the end (the same command goes on))";

constexpr const char* call_footer = R"(
What FIELD=TEXT (a string) and FIELD:=JSON (any JSON value) mean depends on OP:
  fetch                key=VALUE; a compound key: key.FIELD=VALUE for every field of it
  find count exists    conditions: FIELD=VALUE, FIELD.OPERATOR=VALUE; none: every row
                       operators: eq ne lt le gt ge in prefix null
  insert               the fields of the new row
  update               key=VALUE (or --where FIELD=VALUE) and the fields to set; --inc adds
  delete               key=VALUE, or conditions as for find
  anything else        the name of a call of the template, and its arguments

Whole numbers, dates and decimals may be given as text: amount=10.00. Floating-point numbers,
booleans, lists and null are JSON: ratio:=0.1 active:=true.

Examples:
  bedsctl call countries fetch key=MX --fields alpha2,name
  bedsctl call languages find scope=I name.prefix=A --sort=-name --limit 5
  bedsctl call languages find code.in:='["deu","fra"]'
  bedsctl call subdivisions count country=MX parent.null:=true
  bedsctl call accounts insert owner=Ann
  bedsctl call accounts update key=1 status=frozen --if status=open
  bedsctl call accounts transfer from:=1 to:=2 amount=10.00 --id order-4711
  bedsctl call --json - <requests.ndjson

--id names a request that writes: sent again with the same id it is done once and answered alike.
Without it every start of bedsctl is a new request.

--json reads one request of the protocol per line and writes the replies, one per line, in the order of
the requests, which are not waited for one by one:
  {"v":1,"template":"countries","op":"fetch","key":"MX"}
  {"v":1,"mode":"atomic","ops":[{"id":"a-1","template":"accounts","op":"call",…},…]}
Operations that write and shall not happen twice when the file is sent again need an "id" of their own.
A line that is not a request is answered INVALID_ENVELOPE, one that is too large LIMIT_EXCEEDED; neither is
sent. The exit code is the highest of all lines.

Exit codes: 0 done, 1 refused, and nothing was changed, 2 wrong command line or configuration, 3 the effect is
unknown, or nobody answered in time: send the same again with the same --id)";

constexpr const char* times = "ms, s or m, 1ms to 1440m; 10 is 10s";

/// The options of bedsctl itself that a command takes: CLI11 shows them in its own help alone.
std::string common(const char* options, const char* timeout = nullptr) {
    std::string made{"Common options (bedsctl --help): "};
    made.append(options);
    if (timeout != nullptr) {
        made.append("\n  --timeout TIME              ").append(timeout).append(" (").append(times);
        made.append(")");
    }
    return made + '\n';
}

void add_members(CLI::App& app, const char* name, std::vector<std::string>& into,
                 const char* what) {
    app.add_option(name, into, what)
        ->type_name("FIELD=VALUE")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->allow_extra_args(false); // what follows the one is a word of its own
}

/// `a,b` to its names; empty ones are left for the node to refuse.
std::vector<std::string> split(const std::string& list) {
    std::vector<std::string> names;
    for (std::size_t at = 0; !list.empty() && at <= list.size();) {
        const auto comma = std::min(list.find(',', at), list.size());
        names.push_back(list.substr(at, comma - at));
        at = comma + 1;
    }
    return names;
}

std::optional<row_format> named_format(const std::string& name) {
    return name.empty()    ? std::nullopt
           : name == "csv" ? std::optional{row_format::csv}
                           : std::optional{row_format::ndjson};
}

std::chrono::milliseconds time_of(const char* option, const std::string& text,
                                  std::chrono::milliseconds otherwise) {
    if (text.empty()) {
        return otherwise;
    }
    const auto parsed = parse_timeout(text);
    if (!parsed) {
        throw usage_error(std::string{option} + ": '" + text +
                          "' is no time such as 10s, 500ms or 2m (up to 24 hours)");
    }
    return *parsed;
}

void choose_connection(connection_options& chosen, const environment& variables) {
    if (chosen.url.empty() && chosen.config.empty()) {
        if (const auto url = variables("AMQP_URL"); url && !url->empty()) {
            chosen.url = *url;
        } else if (const auto config = variables("BEDS_CONFIG"); config && !config->empty()) {
            chosen.config = *config;
        } else {
            throw usage_error("where is the service? Give --url, --config, AMQP_URL or "
                              "BEDS_CONFIG (see bedsctl --help)");
        }
    }
    if (!chosen.url.empty() && !chosen.service.empty()) {
        throw usage_error("--service chooses one of a configuration, and the service is at a URL "
                          "(--url or AMQP_URL): name the configuration with --config");
    }
    if (!chosen.url.empty() && !chosen.queue_tag) {
        chosen.queue_tag = variables("BEDS_QUEUE_TAG");
    }
}

/// The codes that a dead letter may have.
std::string known_codes() {
    std::string names{rabbitmq_code};
    for (std::size_t i = 1; i < beds::core::code_count; ++i) { // 0 is `ok`
        names.append(" ").append(to_string(static_cast<beds::core::code>(i)));
    }
    return names;
}

bool is_known_code(std::string_view name) {
    const auto found = beds::core::parse_code(name);
    return name == rabbitmq_code || (found && *found != beds::core::code::ok);
}

/// A request says all of it itself.
void refuse_beside_json(const CLI::App& call) {
    for (const auto* given : call.get_options()) {
        const auto name = given->get_name();
        if (given->count() != 0 && name != "--json") {
            throw usage_error("--json takes whole requests: no " + name + " beside it");
        }
    }
}

} // namespace

std::optional<std::chrono::milliseconds> parse_timeout(std::string_view text) {
    std::uint32_t number = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
    if (parsed.ec != std::errc{}) {
        return std::nullopt;
    }
    const auto unit = text.substr(static_cast<std::size_t>(parsed.ptr - text.data()));
    const std::int64_t factor = unit == "ms"                  ? 1
                                : unit == "s" || unit.empty() ? 1'000
                                : unit == "m"                 ? 60'000
                                                              : 0;
    const auto total = std::chrono::milliseconds{number * factor};
    if (total <= std::chrono::milliseconds{0} || total > std::chrono::hours{24}) {
        return std::nullopt;
    }
    return total;
}

std::variant<options, exit_code> parse_options(int argc, const char* const* argv,
                                               const environment& variables, std::ostream& out,
                                               std::ostream& err) {
    CLI::App app{"bedsctl: asks a BEDS service, through RabbitMQ, from the command line.",
                 "bedsctl"};
    app.footer(main_footer);
    app.set_version_flag("--version", std::string{"bedsctl "} + BEDSCTL_VERSION);
    app.require_subcommand(1);
    app.fallthrough();

    options chosen;
    std::string config;
    std::string tag;
    std::string output;
    std::string timeout;
    auto* url_option = app.add_option("--url", chosen.connection.url,
                                      "RabbitMQ of the service (default: AMQP_URL)")
                           ->type_name("URL");
    app.add_option("-c,--config", config,
                   "Configuration that names the service (default: BEDS_CONFIG)")
        ->type_name("FILE")
        ->excludes(url_option);
    app.add_option(
           "--service", chosen.connection.service,
           "Which of the configuration's broker_services (default: app_server, or the only one)")
        ->type_name("ROLE");
    auto* tag_option =
        app.add_option("--queue-tag", tag,
                       "Prefix of the service's queues (default: that of the configuration; with a "
                       "URL BEDS_QUEUE_TAG, or none)")
            ->type_name("TAG");
    app.add_option("-o,--output", output,
                   "table (default on a terminal) or json (default otherwise)")
        ->type_name("FORMAT");
    app.add_option("--timeout", timeout,
                   std::string{"How long to wait for the answer (default: 10s; import and export: "
                               "30s for each message; "} +
                       times + ")")
        ->type_name("TIME");

    auto* call = app.add_subcommand("call", "Run one operation, or a stream of requests");
    call->footer(common("--url, --config, --service, --queue-tag, --output",
                        "How long to wait for the answer, of --json for each; default: 10s") +
                 call_footer);
    auto& asked = chosen.call;
    std::string fields;
    std::string returning;
    std::string sort;
    std::uint32_t limit = 0;
    const auto add_operation = [&](CLI::App& to) {
        to.add_option("TEMPLATE", asked.template_name, "Template, see bedsctl describe");
        to.add_option(
            "OP", asked.op,
            "fetch, find, count, exists, insert, update, delete, or a call of the template");
        to.add_option("MEMBERS", asked.members, "FIELD=TEXT or FIELD:=JSON");
        to.add_option("--fields", fields, "Fields to return (default: all)")->type_name("A,B,…");
        to.add_option(
              "--return", returning,
              "Fields to return of the rows written (insert, update, delete; default: none)")
            ->type_name("A,B,…");
        to.add_option("--sort", sort,
                      "Fields to sort by, descending with '-': --sort=-name (default: by the key)")
            ->type_name("A,-B,…");
        to.add_option("--limit", limit,
                      "Most rows to return, 1 to the template's max_rows (default: max_rows)")
            ->type_name("N");
        add_members(to, "--where", asked.where, "Condition; may be repeated");
        add_members(to, "--set", asked.set,
                    "Field to set, as FIELD=VALUE does for update; may be repeated");
        add_members(to, "--inc", asked.inc, "Number to add to a field (update); may be repeated");
        add_members(to, "--if", asked.expect,
                    "Only when the row has this value (update, delete); may be repeated");
    };
    add_operation(*call);
    call->add_option("--after", asked.after, "Cursor of the page before (default: the first page)")
        ->type_name("CURSOR");
    auto* id_option =
        call->add_option(
                "--id", chosen.id,
                "Idempotency key of the request, 1 to 255 bytes (default: a new one each time)")
            ->type_name("ID");
    call->add_option("--order", chosen.order,
                     "Write to a template with order_by: the value of that field (default: not in "
                     "order)")
        ->type_name("VALUE");
    call->add_option("--json", chosen.input,
                     "Read requests from FILE, - is standard input (default: one request, from the "
                     "command line)")
        ->type_name("FILE");

    auto* import = app.add_subcommand("import", "Insert the rows of a CSV or NDJSON file");
    import->footer(
        common("--url, --config, --service, --queue-tag",
               "How long a message of rows is waited for before it is sent again; default: 30s") +
        import_footer);
    auto& in = chosen.importing;
    std::string file_format;
    std::string patience;
    std::string columns;
    std::string ignored;
    import->add_option("TEMPLATE", in.template_name, "Template, see bedsctl describe")->required();
    import->add_option("FILE", in.input, "Rows; - is standard input")->required();
    const auto add_format = [&](CLI::App* to) {
        to->add_option("--format", file_format, "csv or ndjson (default: by the name's end)")
            ->check(CLI::IsMember({"csv", "ndjson"}))
            ->type_name("FORMAT");
        to->add_flag("--in-process", chosen.in_process,
                     "Straight to the database of the configuration, without RabbitMQ and bedsd");
        to->add_option("--patience", patience,
                       std::string{"Stop when nothing was answered for good for so long (default: "
                                   "5m; "} +
                           times + ")")
            ->type_name("TIME");
    };
    add_format(import);
    auto* columns_option =
        import
            ->add_option("--columns", columns,
                         "Fields of a CSV that has no header line (default: the header names them)")
            ->type_name("A,B,…");
    import
        ->add_option("--ignore", ignored,
                     "Columns, of NDJSON members, that are not imported (default: none)")
        ->type_name("A,B,…");
    import
        ->add_option("--null", in.null_text, "How NULL is written, without quotes (default: empty)")
        ->type_name("TEXT");
    import->add_option("--batch", in.batch, "Rows in a message (default: 200)")
        ->check(CLI::Range(1, 4096))
        ->type_name("N");
    import->add_option("--window", in.window, "Messages on the way (default: 8)")
        ->check(CLI::Range(1, 256))
        ->type_name("N");
    import
        ->add_option("--rate", in.rate,
                     "Rows a second at most (default: as fast as they are answered)")
        ->check(CLI::Range(1, 100'000'000))
        ->type_name("N");
    auto* job_option =
        import
            ->add_option("--job", in.job,
                         "Name by which rows are known again (default: made of the file's content; "
                         "for - another one each time)")
            ->type_name("NAME");
    auto* state_option =
        import
            ->add_option("--state", in.state,
                         "Where it is noted how far it is (default: FILE.beds-import; none for -)")
            ->type_name("FILE");
    auto* rejects_option =
        import
            ->add_option("--rejects", in.rejects,
                         "Where refused rows go (default: beside FILE, as below; not kept for -)")
            ->type_name("FILE");
    import
        ->add_option("--max-rejects", in.max_rejects,
                     "Stop when more rows are refused (default: no bound)")
        ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{INT64_MAX}))
        ->type_name("N");
    import->add_flag("--dry-run", in.dry_run, "Check what needs no database, and send nothing");
    import->add_flag("--restart", in.restart, "From the first row, whatever was noted");
    import->add_flag("--may-happen-twice", in.may_happen_twice,
                     "Although rows may be there twice: into a database without inbox, under "
                     "another account, or when the inbox_window is over");
    import->add_flag("--quiet", in.quiet, "Say nothing but what is wrong");

    auto* export_rows = app.add_subcommand("export", "Write rows to a CSV or NDJSON file");
    export_rows->footer(
        common("--url, --config, --service, --queue-tag",
               "How long a page is waited for before it is asked for again; default: 30s") +
        export_footer);
    auto& out_to = chosen.exporting;
    export_rows->add_option("TEMPLATE", out_to.template_name, "Template, see bedsctl describe")
        ->required();
    export_rows->add_option("FILE", out_to.output, "Default: - for standard output");
    add_format(export_rows);
    auto* export_fields_option =
        export_rows->add_option("--fields", fields, "Fields to write (default: all)")
            ->type_name("A,B,…");
    add_members(*export_rows, "--where", out_to.where, "Condition as of find; may be repeated");
    export_rows
        ->add_option("--null", out_to.null_text,
                     "How NULL is written, without quotes (default: empty)")
        ->type_name("TEXT");
    export_rows->add_option("--limit", out_to.limit, "Most rows to write (default: all)")
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{INT64_MAX}))
        ->type_name("N");
    export_rows
        ->add_option("--page", out_to.page, "Rows in a reply (default: the template's max_rows)")
        ->check(CLI::Range(1, 100'000))
        ->type_name("N");
    export_rows->add_flag("--restart", out_to.restart, "From the first row, whatever was noted");
    export_rows->add_flag("--quiet", out_to.quiet, "Say nothing but what is wrong");

    auto* status = app.add_subcommand(
        "status", "How a node is: what it is connected to, and what became of requests");
    status->footer(common("--config, --output", "How long to wait for the page; default: 10s") +
                   status_footer);
    status
        ->add_option("--admin", chosen.admin,
                     "Address of the node's admin pages (default: as below)")
        ->type_name("ADDRESS:PORT");

    auto* describe = app.add_subcommand("describe", "What templates there are and what they offer");
    describe->footer(common("--url, --config, --service, --queue-tag, --output",
                            "How long to wait for the answer; default: 10s") +
                     describe_footer);
    describe->add_option("TEMPLATE", chosen.described_template, "Only this one, in detail");
    std::string described_as;
    describe
        ->add_option(
            "--as", described_as,
            "In the words of other tools: json-schema (2020-12) or asyncapi (3.0) (default: "
            "BEDS's own)")
        ->check(CLI::IsMember({"json-schema", "asyncapi"}))
        ->type_name("FORM");

    auto* schema = app.add_subcommand(
        "schema", "What BEDS needs in a database, for its DBA: bedsctl schema | mariadb DATABASE");
    schema->footer(common("--config") + schema_footer);
    auto* engine =
        schema->add_option("--engine", chosen.engine, "mariadb or mongodb (default: mariadb)")
            ->check(CLI::IsMember({"mariadb", "mongodb"}))
            ->type_name("ENGINE");
    auto* grants = schema->add_flag(
        "--grants", chosen.grants, "The least rights that the templates of the configuration need");
    schema
        ->add_flag("--indexes", chosen.indexes,
                   "With the indexes that the templates of the configuration need (MongoDB)")
        ->needs(engine)
        ->excludes(grants);
    schema
        ->add_option("--account", chosen.account,
                     "To whom: 'USER'@'HOST' (MariaDB; default: the configured user @'%'), or a "
                     "USER of MongoDB (default: the configured one)")
        ->needs(grants)
        ->type_name("USER");

    auto* check =
        app.add_subcommand("check", "Are the tables what the templates say? Asks the databases");
    check->footer(common("--config", "How long to wait for all databases; default: 10s") +
                  check_footer);
    check->add_option("TEMPLATE", chosen.check.templates, "Only these");
    check->add_flag("--diff", chosen.check.diff, "Show what differs, line by line");

    auto* explain = app.add_subcommand(
        "explain", "How a database would do an operation: statement, plan and index");
    explain->footer(
        common("--config, --output", "How long to wait for the database; default: 10s") +
        explain_footer);
    add_operation(*explain);

    auto* scaffold = app.add_subcommand(
        "scaffold", "A template from a live table, view or collection, for its DBA to read");
    scaffold->footer(
        common("--config, --service", "How long to wait for the database; default: 10s") +
        scaffold_footer);
    auto* scaffold_objects =
        scaffold->add_option("TABLE", chosen.scaffold.objects, "Tables and views, or collections");
    auto* scaffold_all = scaffold->add_flag("--all", chosen.scaffold.all, "All that are there")
                             ->excludes(scaffold_objects);
    scaffold
        ->add_option("--connection", chosen.scaffold.connection,
                     "Which database of the configuration (default: rel, or the only one)")
        ->type_name("NAME");
    std::string scaffold_directory;
    auto* scaffold_directory_option =
        scaffold
            ->add_option("--directory", scaffold_directory,
                         "Write NAME.toml for each there (default: to standard output)")
            ->type_name("DIR");
    std::string scaffold_procedures;
    auto* scaffold_procedures_option =
        scaffold
            ->add_option("--procedures", scaffold_procedures,
                         "Templates that read views and write through procedures, whose SQL goes "
                         "to this file (MariaDB; default: templates of the tables themselves)")
            ->type_name("FILE");
    auto* scaffold_overwrite =
        scaffold->add_flag("--overwrite", chosen.scaffold.overwrite, "Also files that are there");

    auto* topology = app.add_subcommand(
        "topology", "What RabbitMQ must hold for a service, for its operator to read or to import");
    topology->footer(common("--config, --service") + topology_footer);
    bool definitions = false;
    auto* definitions_flag = topology->add_flag("--definitions", definitions,
                                                "As rabbitmqctl import_definitions takes it");
    topology
        ->add_option("--application", chosen.topology.applications,
                     "An account for an application; may be repeated")
        ->type_name("NAME[=FILE]")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->allow_extra_args(false)
        ->needs(definitions_flag);

    auto* dlq = app.add_subcommand("dlq", "Dead letters: look at them, send them again, drop them");
    dlq->footer(common("--url, --config, --service, --queue-tag, --output",
                       "How long to wait for RabbitMQ; default: 10s") +
                dlq_footer);
    dlq->require_subcommand(1);
    const auto add_letters = [&](const char* name, const char* what) {
        auto* made = dlq->add_subcommand(name, what);
        made->footer(dlq->get_footer());
        made->add_option("ID", chosen.letters.ids, "Message ids, or event ids");
        made->add_option("--code", chosen.letters.code, "Those with this code (default: with any)")
            ->type_name("CODE");
        made->add_option("--template", chosen.letters.template_name,
                         "Those for this template (default: for any)")
            ->type_name("TEMPLATE");
        made->add_option("--most", chosen.letters.most,
                         "Look at so many, the oldest first (default: 10000)")
            ->check(CLI::Range(1, 65'535))
            ->type_name("N");
        return made;
    };
    auto* letters_list = add_letters("list", "How many there are, by cause");
    letters_list->add_flag("--each", chosen.letters.each, "A line for each");
    auto* letters_show = add_letters("show", "One with its history and its request");
    bool reveal = false;
    letters_show->add_flag("--reveal", reveal, "Show the values of the request");
    auto* letters_replay = add_letters("replay", "Send them again, as their first sender");
    bool renew = false;
    letters_replay->add_flag("--new-id", renew,
                             "What was not done, under new ids: what was refused for good is "
                             "remembered under its old one, and would be refused again. What was "
                             "applied is left out; refused where that is not known, unless "
                             "--may-happen-twice");
    std::string letters_deadline;
    letters_replay
        ->add_option(
            "--deadline", letters_deadline,
            std::string{"To be done within this time (default: as templates say; deadlines "
                        "that their senders gave hold no more; "} +
                times + ")")
        ->type_name("TIME");
    letters_replay->add_flag("--may-happen-twice", chosen.letters.may_happen_twice,
                             "Also what may have been applied before: its effect is unknown, or "
                             "its id is too old to be remembered");
    auto* letters_drop = add_letters("drop", "Throw them away");
    for (auto* one : {letters_replay, letters_drop}) {
        one->add_flag("--all", chosen.letters.all, "All of them");
    }

    try {
        app.parse(argc, argv);
    } catch (const CLI::RequiredError& error) {
        // CLI11 names what is missing, and not what stands in its place.
        const auto words = app.remaining();
        if (!words.empty()) {
            err << "bedsctl: there is no command or option '" << words.front()
                << "'; commands: call, check, describe, dlq, explain, export, import, scaffold, "
                   "schema, status, topology (see bedsctl --help)\n";
            return exit_code::usage;
        }
        return app.exit(error, out, err) == 0 ? exit_code::ok : exit_code::usage;
    } catch (const CLI::ParseError& error) {
        return app.exit(error, out, err) == 0 ? exit_code::ok : exit_code::usage;
    }
    try {
        chosen.connection.config = config;
        if (tag_option->count() != 0) {
            chosen.connection.queue_tag = tag;
        }
        // What a script's unset variable leaves: taken for "none", a write could happen twice.
        for (const auto* option :
             {id_option, call->get_option("--order"), call->get_option("--fields"),
              explain->get_option("--fields"), call->get_option("--return"),
              explain->get_option("--return"), export_fields_option, columns_option, job_option,
              state_option, rejects_option}) {
            if (option->count() != 0 && option->as<std::string>().empty()) {
                throw usage_error(option->get_name() + " is empty; leave it out, or say which");
            }
        }
        for (const auto& text : {in.null_text, out_to.null_text}) {
            if (text.find_first_of(",\"\r\n") != std::string::npos) {
                throw usage_error("--null stands without quotes: no comma, quote or end of line in "
                                  "it; take another text, such as '\\N'");
            }
        }
        asked.fields = split(fields);
        asked.returning = split(returning);
        asked.sort = split(sort);
        if (call->count("--limit") + explain->count("--limit") != 0) {
            if (limit == 0) {
                throw usage_error("--limit is a number of rows, at least 1");
            }
            asked.limit = limit;
        }
        if (!output.empty() && output != "table" && output != "json") {
            throw usage_error("--output is table or json, not '" + output + "'");
        }
        if (!output.empty()) {
            chosen.output = output == "table" ? format::table : format::json;
        }
        if (!timeout.empty()) {
            const auto parsed = parse_timeout(timeout);
            if (!parsed) {
                throw usage_error("--timeout: '" + timeout +
                                  "' is no time such as 10s, 500ms or 2m (up to 24 hours)");
            }
            chosen.timeout = *parsed;
        }
        if (schema->parsed()) { // asks nobody
            chosen.task = task::schema;
            if (const auto named = variables("BEDS_CONFIG");
                chosen.connection.config.empty() && named) {
                chosen.connection.config = *named;
            }
            if (chosen.grants && chosen.connection.config.empty()) {
                throw usage_error("the rights are those of a configuration's templates: name it "
                                  "with --config or BEDS_CONFIG");
            }
            if (chosen.indexes && chosen.engine != "mongodb") {
                throw usage_error(
                    "--indexes is of MongoDB: tables of MariaDB are made with theirs");
            }
            if (chosen.indexes && chosen.connection.config.empty()) {
                throw usage_error("the indexes are those of a configuration's templates: name it "
                                  "with --config or BEDS_CONFIG");
            }
            return chosen;
        }
        if (status->parsed() || topology->parsed() || scaffold->parsed() || check->parsed() ||
            explain->parsed()) {
            // of a node: no URL leads to it
            chosen.task = status->parsed()     ? task::status
                          : topology->parsed() ? task::topology
                          : check->parsed()    ? task::check
                          : explain->parsed()  ? task::explain
                                               : task::scaffold;
            chosen.scaffold.directory = scaffold_directory;
            chosen.scaffold.procedures = scaffold_procedures;
            if (scaffold_overwrite->count() != 0 && scaffold_directory_option->count() == 0 &&
                scaffold_procedures_option->count() == 0) {
                throw usage_error("--overwrite is for --directory and --procedures");
            }
            chosen.topology.form = definitions ? topology_form::definitions : topology_form::table;
            if (const auto named = variables("BEDS_CONFIG");
                chosen.connection.config.empty() && named) {
                chosen.connection.config = *named;
            }
            if (topology->parsed() && chosen.connection.config.empty()) {
                throw usage_error("topology is that of a configuration: name it with --config or "
                                  "BEDS_CONFIG");
            }
            if (!status->parsed() && chosen.connection.config.empty()) {
                throw usage_error("where is the database? Name a configuration with --config or "
                                  "BEDS_CONFIG");
            }
            if (scaffold->parsed() && chosen.scaffold.objects.empty() &&
                scaffold_all->count() == 0) {
                throw usage_error("which table? Name one, or say --all");
            }
            return chosen;
        }
        if (import->parsed() || export_rows->parsed()) {
            if (!output.empty()) {
                throw usage_error("--output is not for import and export; --format is that of the "
                                  "file");
            }
            if (chosen.in_process) {
                if (const auto named = variables("BEDS_CONFIG");
                    chosen.connection.config.empty() && chosen.connection.url.empty() && named) {
                    chosen.connection.config = *named; // whatever AMQP_URL says
                }
                if (chosen.connection.config.empty()) {
                    throw usage_error("--in-process needs the configuration of the database: "
                                      "--config or BEDS_CONFIG");
                }
            }
        }
        if (import->parsed()) {
            chosen.task = task::import_rows;
            in.format = named_format(file_format);
            in.columns = split(columns);
            in.ignored = split(ignored);
            in.timeout = timeout.empty() ? in.timeout : chosen.timeout;
            in.patience = time_of("--patience", patience, in.patience);
        } else if (export_rows->parsed()) {
            chosen.task = task::export_rows;
            out_to.format = named_format(file_format);
            out_to.fields = asked.fields;
            out_to.timeout = timeout.empty() ? out_to.timeout : chosen.timeout;
            out_to.patience = time_of("--patience", patience, out_to.patience);
        } else if (dlq->parsed()) {
            chosen.task = task::dead_letters;
            auto& letters = chosen.letters;
            letters.task = letters_list->parsed()     ? letter_task::list
                           : letters_show->parsed()   ? letter_task::show
                           : letters_replay->parsed() ? letter_task::replay
                                                      : letter_task::drop;
            letters.values = reveal ? shown_values::revealed : shown_values::masked;
            letters.replay_ids = renew ? letter_ids::renewed : letter_ids::kept;
            if (!letters_deadline.empty()) {
                letters.deadline = time_of("--deadline", letters_deadline, {});
            }
            if (!letters.code.empty() && !is_known_code(letters.code)) {
                throw usage_error("--code: there is no code '" + letters.code + "'; there are " +
                                  known_codes());
            }
            const bool chosen_some = !letters.ids.empty() || !letters.code.empty() ||
                                     !letters.template_name.empty() || letters.all;
            if (letters.task != letter_task::list && !chosen_some) {
                throw usage_error("which ones? Name them by id, --code or --template" +
                                  std::string{letters_show->parsed() ? "" : ", or say --all"});
            }
        } else if (describe->parsed()) {
            chosen.task = task::describe;
            chosen.described_as = described_as == "json-schema" ? contract_form::json_schema
                                  : described_as == "asyncapi"  ? contract_form::asyncapi
                                                                : contract_form::own;
        } else if (!chosen.input.empty()) {
            chosen.task = task::stream;
            refuse_beside_json(*call);
            if (chosen.output == format::table) {
                throw usage_error("--json answers in JSON, not in tables");
            }
        }
        choose_connection(chosen.connection, variables);
    } catch (const usage_error& wrong) {
        err << "bedsctl: " << wrong.what() << '\n';
        return exit_code::usage;
    }
    return chosen;
}

} // namespace bedsctl
