#include "import.hpp"

#include "arguments.hpp"
#include "import_state.hpp"
#include "progress.hpp"
#include "table_rows.hpp"

#include <beds/core/error.hpp>
#include <beds/core/json.hpp>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <mutex>
#include <ostream>
#include <poll.h>
#include <random>
#include <regex>
#include <stdexcept>
#include <sys/file.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace bedsctl {
namespace {

using namespace std::chrono_literals;
using beds::client::operation;
using beds::client::reply;
using beds::client::request;
using beds::client::result;
using beds::core::code;
using beds::core::datum;
using beds::core::effect;
using clock = std::chrono::steady_clock;

/// Bytes of the file that one message carries at most. As JSON they are six times as many at worst,
/// and 16 MiB are refused.
constexpr std::size_t most_bytes = 1024 * 1024;
/// A row whose effect the node says it cannot tell is asked after so often.
constexpr unsigned most_doubts = 6;
constexpr auto save_each = 1s;

[[noreturn]] void failed(const std::string& what) {
    throw std::system_error(errno, std::generic_category(), what);
}

/// The file that is read, or standard input.
class input_file {
public:
    explicit input_file(const std::string& name) : name_(name) {
        if (name == "-") {
            return;
        }
        number_ = ::open(name.c_str(), O_RDONLY | O_CLOEXEC);
        struct stat about {};
        if (number_ < 0 || ::fstat(number_, &about) != 0 || S_ISDIR(about.st_mode)) {
            throw usage_error("cannot read '" + name + "'");
        }
        if (!S_ISREG(about.st_mode)) {
            throw usage_error("'" + name + "' is no file that can be read twice; give it as -");
        }
        if (::flock(number_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
            throw usage_error("'" + name + "' is being imported by another bedsctl");
        }
        size_ = static_cast<std::uint64_t>(about.st_size);
    }
    ~input_file() {
        if (number_ > STDIN_FILENO) {
            ::close(number_);
        }
    }
    input_file(const input_file&) = delete;
    input_file& operator=(const input_file&) = delete;

    [[nodiscard]] bool is_stream() const { return number_ == STDIN_FILENO; }
    [[nodiscard]] std::uint64_t size() const { return size_; } ///< 0: not known

    void skip_to(std::uint64_t position) {
        if (!is_stream()) {
            at_ = position;
            if (::lseek(number_, static_cast<off_t>(position), SEEK_SET) < 0) {
                failed("cannot read " + name_);
            }
            return;
        }
        std::string thrown(64 * 1024, '\0');
        while (position > 0) {
            const auto size =
                ::read(number_, thrown.data(), std::min<std::uint64_t>(position, thrown.size()));
            if (size <= 0) {
                throw usage_error("standard input ends before the place to go on from");
            }
            position -= static_cast<std::uint64_t>(size);
        }
    }

    /// Nothing when nothing comes for a moment. What a file grows by while it is read is left.
    std::optional<std::size_t> read(char* into, std::size_t most) {
        if (is_stream()) {
            pollfd ready{number_, POLLIN, 0};
            if (::poll(&ready, 1, 50) <= 0) {
                return std::nullopt;
            }
        } else {
            most = std::min<std::uint64_t>(most, size_ - std::min(at_, size_));
        }
        const auto size = ::read(number_, into, most);
        if (size < 0 && errno == EINTR) {
            return std::nullopt;
        }
        if (size < 0) {
            failed("cannot read " + name_);
        }
        at_ += static_cast<std::uint64_t>(size);
        return static_cast<std::size_t>(size);
    }

    /// What ends the line at this place of a file: "\n", "\r\n", or "" when the line goes on.
    [[nodiscard]] std::string_view line_end_at(std::uint64_t position) const {
        char bytes[2] = {};
        if (::pread(number_, bytes, sizeof bytes, static_cast<off_t>(position)) < 0) {
            failed("cannot read " + name_);
        }
        return bytes[0] == '\n' ? "\n" : bytes[0] == '\r' && bytes[1] == '\n' ? "\r\n" : "";
    }

private:
    std::string name_;
    int number_ = STDIN_FILENO;
    std::uint64_t size_ = 0;
    std::uint64_t at_ = 0; ///< of a file
};

/// Refused rows; made with the first of them.
class rejects_file {
public:
    rejects_file(std::string name, std::string header)
        : name_(std::move(name)), header_(std::move(header)) {}
    ~rejects_file() {
        if (number_ >= 0) {
            ::close(number_);
        }
    }
    rejects_file(const rejects_file&) = delete;
    rejects_file& operator=(const rejects_file&) = delete;

    /// Goes on behind so many bytes.
    void resume(std::uint64_t bytes) {
        std::error_code missing;
        const auto size = std::filesystem::file_size(name_, missing);
        if (missing || bytes == 0) {
            return; // it was taken away, to be mended: another one begins
        }
        if (size < bytes) {
            throw usage_error("'" + name_ + "' is not as it was left; name another with --rejects");
        }
        open(O_WRONLY);
        if (::ftruncate(number_, static_cast<off_t>(bytes)) != 0 ||
            ::lseek(number_, 0, SEEK_END) < 0) {
            failed("cannot write " + name_);
        }
        bytes_ = bytes;
    }
    void add(std::string_view line) {
        if (number_ < 0 && bytes_ == 0 && waiting_.empty()) {
            waiting_.append(header_);
        }
        waiting_.append(line);
    }
    /// All of it is kept, whatever is killed.
    void flush() {
        if (waiting_.empty() || name_.empty()) {
            waiting_.clear();
            return;
        }
        if (number_ < 0) {
            open(O_WRONLY | O_CREAT | O_TRUNC);
        }
        for (std::size_t at = 0; at < waiting_.size();) {
            const auto size = ::write(number_, waiting_.data() + at, waiting_.size() - at);
            if (size < 0 && errno != EINTR) {
                failed("cannot write " + name_);
            }
            at += size > 0 ? static_cast<std::size_t>(size) : 0;
        }
        bytes_ += waiting_.size();
        waiting_.clear();
        ::fdatasync(number_); // a pipe cannot, and need not
    }
    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

private:
    void open(int flags) {
        number_ = ::open(name_.c_str(), flags | O_CLOEXEC, 0644);
        if (number_ < 0) {
            failed("cannot write " + name_);
        }
    }

    std::string name_;
    std::string header_;
    std::string waiting_;
    std::uint64_t bytes_ = 0;
    int number_ = -1;
};

struct row {
    operation op{};
    std::string raw{};
    std::uint64_t line = 0;
    enum class fate { open, applied, refused } is = fate::open;
    refusal why{};
    bool uncertain = false;
};

/// Rows that leave together, and stay together until each has its answer for good.
struct parcel {
    std::vector<row> rows;
    std::size_t bytes = 0;
    std::uint64_t end = 0; ///< of the last row, in the file
    std::uint64_t next_line = 1;
    unsigned attempts = 0;
    std::size_t under_way = 0; ///< messages
    clock::time_point due{};
    std::chrono::milliseconds pause{0}; ///< that was asked for

    [[nodiscard]] bool settled() const {
        return std::none_of(rows.begin(), rows.end(),
                            [](const row& one) { return one.is == row::fate::open; });
    }
};

/// What the client's threads leave for the one that imports.
struct inbox {
    struct item {
        std::shared_ptr<parcel> of;
        std::vector<std::size_t> rows;
        reply got;
    };
    std::mutex mutex;
    std::condition_variable filled;
    std::vector<item> items;
};

enum class verdict { applied, again, refused, hopeless };

verdict verdict_of(const result& got) {
    if (got.ok() || got.effect() == effect::applied) {
        return verdict::applied;
    }
    if (got.effect() == effect::unknown || got.retryable()) {
        return verdict::again;
    }
    switch (got.code()) {
    case code::deadline_exceeded:
    case code::misrouted:
    case code::skipped:
        return verdict::again;
    case code::unknown_template: // it is the same for every row
    case code::backend_permission_denied:
    case code::unauthenticated:
    case code::forbidden:
    case code::unsupported:
        return verdict::hopeless;
    default:
        return verdict::refused;
    }
}

std::string words_of(const result& got) {
    std::string text{got.code_text()};
    if (!got.detail().empty()) {
        text.append(": ").append(got.detail());
    }
    return text;
}

std::uint64_t random_number() {
    static std::mt19937_64 engine{std::random_device{}()};
    return engine();
}

class importer {
public:
    importer(beds::client::client& through, const import_options& asked, std::ostream& err,
             bool terminal, const std::function<bool()>& stopped)
        : through_(through), asked_(asked), err_(err), stopped_(stopped), input_(asked.input),
          format_(chosen_format()), columns_(asked.columns),
          reader_(format_,
                  [this](char* into, std::size_t most) { return input_.read(into, most); }),
          progress_(err, asked.quiet ? progress::manner::quiet
                         : terminal  ? progress::manner::terminal
                                     : progress::manner::lines),
          mail_(std::make_shared<inbox>()) {}

    exit_code run() {
        learn_template();
        if (const auto finished = prepare_state()) {
            return *finished;
        }
        read_header();
        if (asked_.dry_run) {
            return try_all();
        }
        prepare_rejects();
        if (input_.is_stream() && asked_.job.empty() && !asked_.quiet) {
            err_ << "bedsctl: without --job no other run knows these rows: sent again they are "
                    "inserted again\n";
        }
        save(); // so that a file of refused rows is known to be ours
        send_all();
        rejects_->flush();
        state_.done = ended_ && window_.empty();
        state_.settled = window_.empty() && (state_.done || !sent_before_);
        if (state_.settled && !state_.done && !input_.is_stream()) {
            // Nothing behind this place was sent: what stands there may still be changed.
            state_.size = state_.position;
            state_.content = digest_of(asked_.input, state_.size);
        }
        save();
        return finish();
    }

private:
    [[nodiscard]] row_format chosen_format() const {
        const auto chosen = asked_.format ? asked_.format : format_of_name(asked_.input);
        if (!chosen) {
            throw usage_error("is it CSV or NDJSON? The name of '" + asked_.input +
                              "' does not tell: give --format csv or --format ndjson");
        }
        if (*chosen == row_format::ndjson && !asked_.columns.empty()) {
            throw usage_error("--columns is for CSV: NDJSON names its fields itself");
        }
        return *chosen;
    }

    void learn_template() {
        const auto until = beds::core::deadline::after(asked_.timeout);
        const auto got = through_.call(beds::client::describe(asked_.template_name), until);
        const auto* templates = got.ok() ? got.front().data().find("templates") : nullptr;
        if (templates == nullptr || templates->count != 1) {
            const auto why = "template '" + asked_.template_name + "': " + words_of(got.front());
            if (got.front().code() == code::unknown_template) {
                throw usage_error(why);
            }
            throw std::runtime_error(why);
        }
        table_ = std::make_unique<table_rows>(templates->items().front());
        if (!table_->order_by().empty()) {
            throw usage_error("the writes of template '" + asked_.template_name +
                              "' are ordered by '" + table_->order_by() +
                              "', one message each, which import does not do: import into a "
                              "template of the same table without order_by while nobody writes");
        }
        if (table_->may_repeat() && !asked_.may_happen_twice && !asked_.dry_run) {
            throw usage_error("the database of template '" + asked_.template_name +
                              "' keeps no inbox: a row that is sent again may be inserted again. "
                              "Say --may-happen-twice to import all the same");
        }
    }

    /// The code to end with when nothing is left to do.
    std::optional<exit_code> prepare_state() {
        state_.template_name = asked_.template_name;
        state_.account = asked_.account;
        state_.job = asked_.job;
        if (!input_.is_stream()) {
            state_.size = input_.size();
            state_.content = digest_of(asked_.input, state_.size);
            if (state_.job.empty()) {
                state_.job = job_of_content(state_.content);
            }
            state_file_ = asked_.state.empty() ? asked_.input + ".beds-import" : asked_.state;
        } else if (!asked_.state.empty()) {
            if (asked_.job.empty()) {
                throw usage_error("--state with standard input needs --job: the name by which the "
                                  "rows are known again");
            }
            state_file_ = asked_.state;
        }
        if (state_.job.empty()) {
            state_.job = std::to_string(random_number()) + std::to_string(random_number());
        }
        row_id(state_.job, state_.template_name, UINT64_MAX); // throws when it is too long
        state_.rejects = !asked_.rejects.empty() ? asked_.rejects
                         : input_.is_stream()    ? std::string{}
                                                 : rejects_beside(asked_.input);
        if (state_file_.empty() || asked_.dry_run) {
            return std::nullopt;
        }
        if (asked_.restart) {
            begin_anew();
            return std::nullopt;
        }
        return go_on();
    }

    /// From the first row, whatever was noted; but under the job that was noted, so that the inbox
    /// knows the rows.
    void begin_anew() {
        std::optional<import_state> before;
        try {
            before = load_state(state_file_);
        } catch (const usage_error&) {
            return; // it says nothing, and is written over
        }
        if (!before || before->template_name != state_.template_name) {
            return;
        }
        if (asked_.job.empty() && compare(*before) != content::changed) {
            state_.job = before->job;
        }
        if (state_.job == before->job) {
            refuse_another_account(*before);
            if (forgotten()) {
                throw usage_error("'" + state_file_.string() +
                                  "' is older than the inbox_window: rows that were imported then "
                                  "are not known any more, and would be inserted again. "
                                  "--may-happen-twice does so");
            }
            sent_before_ = true;
        }
    }

    /// Behind what was noted. The code to end with when there is nothing.
    std::optional<exit_code> go_on() {
        const auto before = load_state(state_file_);
        if (!before) {
            return std::nullopt;
        }
        if (before->template_name != state_.template_name) {
            // Written over, what it knows of that import would be lost.
            throw usage_error("'" + state_file_.string() + "' is of an import into template '" +
                              before->template_name +
                              "'; name another one for this template with --state");
        }
        if (!asked_.job.empty() && asked_.job != before->job) {
            if (before->done) {
                return std::nullopt; // that one is over
            }
            throw usage_error("'" + state_file_.string() +
                              "' is of an import that is not finished, of another job ('" +
                              before->job + "'); --restart begins anew, --state names another");
        }
        const auto is = compare(*before);
        if (is == content::changed) {
            throw usage_error(
                "'" + asked_.input + "' has changed since it was imported, as '" +
                state_file_.string() +
                "' says, and not only grown: which of its rows are in cannot be told. Put new rows "
                "in a file of their own; or --restart sends all rows of this one, and those that "
                "are in may be inserted again");
        }
        refuse_another_account(*before);
        state_.job = before->job;
        if (before->done && is == content::same) {
            err_ << "all rows of '" << asked_.input << "' were imported before, "
                 << with_commas(before->applied) << " applied and " << with_commas(before->rejected)
                 << " rejected by the last import, as '" << state_file_.string()
                 << "' says; --restart sends them again\n";
            return tell_code(*before);
        }
        state_.position = before->position;
        state_.line = before->line;
        if (is == content::grown) {
            if (before->position == before->size) { // the last line may have had no end
                state_.position += unended(*before).size();
            }
            if (before->done && !asked_.quiet) {
                err_ << "'" << asked_.input
                     << "' has grown since it was imported: going on with line " << state_.line
                     << '\n';
            }
        }
        if (before->done) { // what is new is counted by itself
            std::error_code missing;
            if (state_.rejects == before->rejects && before->rejects_bytes != 0 &&
                std::filesystem::file_size(state_.rejects, missing) == before->rejects_bytes) {
                state_.rejects_bytes = before->rejects_bytes;
                rejects_go_on_ = true;
            }
            return std::nullopt;
        }
        refuse_what_is_too_old(*before);
        if (asked_.rejects.empty()) {
            state_.rejects = before->rejects;
        }
        const bool moved = state_.rejects != before->rejects;
        sent_before_ = !before->settled;
        before_ = before->applied;
        state_.applied = before->applied;
        state_.rejected = before->rejected;
        state_.uncertain = before->uncertain;
        state_.rejects_bytes = moved ? 0 : before->rejects_bytes;
        resumed_ = true;
        return std::nullopt;
    }

    enum class content { same, grown, changed };

    /// The file, and what of it was seen before.
    [[nodiscard]] content compare(const import_state& before) const {
        if (before.content == state_.content) {
            return content::same;
        }
        // Of standard input nothing is known.
        if (before.content.empty() || state_.content.empty() || before.size >= state_.size ||
            digest_of(asked_.input, before.size) != before.content) {
            return content::changed;
        }
        const bool whole = before.size == 0 || input_.line_end_at(before.size - 1) == "\n" ||
                           !unended(before).empty();
        return whole ? content::grown : content::changed;
    }

    /// The end that its last line has got since, or "" when it had one.
    [[nodiscard]] std::string_view unended(const import_state& before) const {
        return before.size == 0 || input_.line_end_at(before.size - 1) == "\n"
                   ? std::string_view{}
                   : input_.line_end_at(before.size);
    }

    void refuse_another_account(const import_state& before) const {
        if (before.account == state_.account || asked_.may_happen_twice) {
            return;
        }
        throw usage_error(
            "'" + state_file_.string() + "' says that rows of '" + asked_.input +
            "' were sent as account '" + before.account + "', and this is '" + state_.account +
            "': an inbox knows a row again under one account alone, and rows would be "
            "inserted twice. Import as '" +
            before.account + "', or say --may-happen-twice");
    }

    /// The inbox may not know any more what was sent up to now, and nobody said that it need not.
    [[nodiscard]] bool forgotten() const {
        const auto age = std::filesystem::file_time_type::clock::now() -
                         std::filesystem::last_write_time(state_file_);
        return !asked_.may_happen_twice && age >= asked_.inbox_window * 9 / 10;
    }

    /// What was on its way when an import was killed is known again only for so long.
    void refuse_what_is_too_old(const import_state& before) const {
        if (before.settled || !forgotten()) {
            return;
        }
        throw usage_error("'" + state_file_.string() +
                          "' is older than the inbox_window: rows behind line " +
                          std::to_string(before.line) +
                          " that were on their way when the import was killed are not known any "
                          "more, and would be inserted again. Look which are there; then "
                          "--may-happen-twice goes on all the same");
    }

    void read_header() {
        if (format_ == row_format::csv && asked_.columns.empty() &&
            (!input_.is_stream() || state_.position == 0)) {
            record head;
            record_reader::got got{};
            do {
                got = reader_.next(head);
                if (stopped_()) {
                    throw usage_error("stopped before the header line was read");
                }
            } while (got == record_reader::got::nothing_yet ||
                     (got == record_reader::got::record && head.raw.empty()));
            std::vector<csv_field> names;
            std::optional<std::string> wrong;
            if (got == record_reader::got::end) {
                wrong = "it is empty";
            } else if (head.wrong != record::defect::none) {
                wrong = "a quote is not closed";
            } else if (const auto at = not_utf8_at(head.raw)) {
                wrong = "not UTF-8, at byte " + std::to_string(*at) +
                        "; iconv -f latin1 -t utf8 converts the file";
            } else {
                wrong = split_csv(head.raw, names);
            }
            if (wrong) {
                throw usage_error("the header line of '" + asked_.input + "': " + *wrong);
            }
            for (auto& one : names) {
                columns_.push_back(std::move(one.text));
            }
            at_ = head.end;
            next_line_ =
                head.line + 1 +
                static_cast<std::uint64_t>(std::count(head.raw.begin(), head.raw.end(), '\n'));
            first_line_ = next_line_;
        } else if (format_ == row_format::csv && asked_.columns.empty()) {
            throw usage_error("standard input cannot go back to its header: to go on, name the "
                              "columns with --columns");
        }
        if (format_ == row_format::csv) {
            if (const auto wrong = table_->complaint(columns_, asked_.ignored); !wrong.empty()) {
                throw usage_error(wrong);
            }
        }
        if (state_.position != 0) {
            input_.skip_to(state_.position);
            reader_ = record_reader{
                format_, [this](char* into, std::size_t most) { return input_.read(into, most); }};
            reader_.start_at(state_.position, state_.line);
            at_ = state_.position;
        }
    }

    void prepare_rejects() {
        const auto header = format_ == row_format::csv ? reject_header(columns_) : std::string{};
        rejects_ = std::make_unique<rejects_file>(state_.rejects, header);
        if (state_.rejects.empty()) {
            return;
        }
        std::error_code ignored;
        if (std::filesystem::equivalent(state_.rejects, asked_.input, ignored)) {
            throw usage_error("'" + state_.rejects +
                              "' is what is imported: name another file with --rejects");
        }
        if (resumed_ || rejects_go_on_) {
            rejects_->resume(state_.rejects_bytes);
            state_.rejects_bytes = rejects_->bytes();
        }
        if (rejects_->bytes() == 0 && !asked_.restart && !(resumed_ && state_.rejected == 0) &&
            std::filesystem::is_regular_file(state_.rejects, ignored)) {
            throw usage_error("'" + state_.rejects +
                              "' is there already and would be written over: move it away, or name "
                              "another with --rejects");
        }
    }

    /// The next row, checked as far as that goes without a database. Nothing: see `ended_`.
    std::optional<row> next_row() {
        for (;;) {
            record from;
            const auto got = reader_.next(from);
            if (got != record_reader::got::record) {
                ended_ = got == record_reader::got::end;
                return std::nullopt;
            }
            if (from.wrong != record::defect::none) {
                trouble_ = "line " + std::to_string(from.line) +
                           (from.wrong == record::defect::open_quote
                                ? ": a quote is not closed until the end of the file"
                                : ": a record of more than 16 MiB; is a quote not closed?");
                broken_ = true;
                broken_line_ = from.line;
                return std::nullopt;
            }
            at_ = from.end;
            next_line_ =
                from.line + 1 +
                static_cast<std::uint64_t>(std::count(from.raw.begin(), from.raw.end(), '\n'));
            const bool blank = format_ == row_format::csv
                                   ? from.raw.empty() && columns_.size() > 1
                                   : from.raw.find_first_not_of(" \t\r") == std::string::npos;
            if (blank) {
                continue;
            }
            ++read_;
            return typed(std::move(from));
        }
    }

    row typed(record from) {
        row made;
        made.line = from.line;
        made.raw = std::move(from.raw);
        beds::client::members members;
        std::optional<refusal> why;
        if (format_ == row_format::csv) {
            if (auto wrong = split_csv(made.raw, fields_)) {
                why = refusal{"INVALID_CSV", {}, std::move(*wrong)};
            } else {
                why =
                    table_->from_csv(fields_, columns_, asked_.ignored, asked_.null_text, members);
            }
        } else {
            why = table_rows::from_ndjson(made.raw, asked_.ignored, members);
        }
        if (!why) {
            made.op = beds::client::insert(asked_.template_name, std::move(members));
            made.op.id = row_id(state_.job, asked_.template_name, made.line);
            why = table_->check(made.op);
            if (why && format_ == row_format::ndjson) {
                why->detail += left_out_with(made.raw, why->field);
            }
        }
        if (why) {
            made.is = row::fate::refused;
            made.why = std::move(*why);
            made.op = {};
        }
        return made;
    }

    /// When the field is one that clients do not give: how this line is taken without it.
    [[nodiscard]] std::string left_out_with(const std::string& line,
                                            const std::string& field) const {
        if (table_->to_ignore({field}, {}).empty()) {
            return {};
        }
        beds::client::members members;
        table_rows::from_ndjson(line, asked_.ignored, members);
        std::vector<std::string> names;
        for (const auto& one : members) {
            names.push_back(one.first);
        }
        return " (leave it out with " + table_->to_ignore(names, asked_.ignored) + ")";
    }

    exit_code try_all() {
        std::uint64_t refused = 0;
        prepare_dry_rejects();
        while (!ended_ && !broken_ && !stopped_()) {
            if (const auto next = next_row(); next && next->is == row::fate::refused) {
                ++refused;
                show_first(refused, *next);
                if (rejects_) {
                    rejects_->add(line_of(*next));
                    rejects_->flush();
                }
            }
            progress_.show({read_, refused, part()});
        }
        progress_.end();
        if (!trouble_.empty()) {
            err_ << "bedsctl: " << trouble_ << '\n';
        }
        err_ << "dry run, nothing was sent: read " << with_commas(read_) << ", would send "
             << with_commas(read_ - refused) << ", would refuse " << with_commas(refused) << '\n';
        return !ended_ ? exit_code::unknown : refused != 0 ? exit_code::refused : exit_code::ok;
    }

    void prepare_dry_rejects() {
        if (!asked_.rejects.empty()) {
            prepare_rejects();
        }
    }

    void send_all() {
        last_settled_ = clock::now();
        std::shared_ptr<parcel> next;
        for (;;) {
            stopping_ = stopping_ || stopped_();
            take_mail();
            retire();
            if (!stopping_ && clock::now() - last_settled_ > asked_.patience) {
                stop("nothing was answered for good for too long" +
                     (last_trouble_.empty() ? std::string{} : " (" + last_trouble_ + ")"));
            }
            if (stopping_ || (ended_ && window_.empty())) {
                if (under_way_ == 0) {
                    break;
                }
            } else {
                send_again();
                while (!stopping_ && !ended_ && !broken_ && window_.size() < asked_.window &&
                       clock::now() >= next_send_ && !stopped_()) {
                    if (!fill_one()) {
                        break; // nothing is there yet
                    }
                }
                if (broken_ && window_.empty()) {
                    break;
                }
                if (window_.empty()) {
                    last_settled_ = clock::now(); // it is the file, or the rate, that is waited for
                    if (ended_) {
                        break;
                    }
                }
            }
            progress_.show({settled_, state_.rejected, part()});
            wait();
        }
        retire();
        progress_.end();
    }

    /// Reads and sends a parcel. False when there was nothing to read.
    bool fill_one() {
        auto made = std::make_shared<parcel>();
        const auto most = rows_of_a_parcel();
        while (made->rows.size() < most && made->bytes < most_bytes) {
            auto next = next_row();
            if (!next) {
                break;
            }
            made->bytes += next->raw.size();
            made->rows.push_back(std::move(*next));
        }
        if (made->rows.empty()) {
            return false;
        }
        made->end = at_;
        made->next_line = next_line_;
        if (asked_.rate) {
            const auto now = clock::now();
            const auto span =
                std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>(
                    static_cast<double>(made->rows.size()) / static_cast<double>(*asked_.rate)));
            next_send_ = std::max(next_send_, now - 100ms) + span;
        }
        window_.push_back(made);
        submit_open(made);
        return true;
    }

    /// With a rate the parcels are small enough to leave evenly.
    [[nodiscard]] std::size_t rows_of_a_parcel() const {
        return asked_.rate ? std::clamp<std::size_t>(*asked_.rate / 4, 1, asked_.batch)
                           : asked_.batch;
    }

    void submit_open(const std::shared_ptr<parcel>& of) {
        std::vector<std::size_t> open;
        for (std::size_t i = 0; i < of->rows.size(); ++i) {
            if (of->rows[i].is == row::fate::open) {
                open.push_back(i);
            }
        }
        if (!open.empty()) {
            ++of->attempts;
            submit(of, std::move(open));
        }
    }

    void submit(const std::shared_ptr<parcel>& of, std::vector<std::size_t> which) {
        std::vector<operation> operations;
        operations.reserve(which.size());
        for (const auto i : which) {
            operations.push_back(of->rows[i].op);
        }
        ++of->under_way;
        ++under_way_;
        through_.submit(request{std::move(operations)}, beds::core::deadline::after(asked_.timeout),
                        [mail = mail_, of, which = std::move(which)](reply got) {
                            const std::lock_guard lock{mail->mutex};
                            mail->items.push_back({of, which, std::move(got)});
                            mail->filled.notify_one();
                        });
    }

    void send_again() {
        const auto now = clock::now();
        for (const auto& one : window_) {
            if (one->under_way == 0 && now >= one->due && !one->settled()) {
                submit_open(one);
            }
        }
    }

    void take_mail() {
        std::vector<inbox::item> items;
        {
            const std::lock_guard lock{mail_->mutex};
            items.swap(mail_->items);
        }
        for (auto& one : items) {
            --under_way_;
            --one.of->under_way;
            take_reply(one);
            if (one.of->under_way == 0 && !one.of->settled()) {
                const auto doubled =
                    asked_.first_pause * (1U << std::min(one.of->attempts - 1, 6U));
                const auto longest = std::min<std::chrono::milliseconds>(doubled, 10s);
                const auto jitter = longest / 2 + longest / 2 * (random_number() % 100) / 100;
                one.of->due = clock::now() +
                              std::max<std::chrono::milliseconds>(
                                  std::chrono::duration_cast<std::chrono::milliseconds>(jitter),
                                  one.of->pause);
                one.of->pause = 0ms;
            }
        }
    }

    void take_reply(const inbox::item& from) {
        const auto& [of, which, got] = from;
        const bool whole = got.size() != which.size();
        if (whole && which.size() > 1 && verdict_of(got[0]) == verdict::refused) {
            // The message was refused, for what one of its rows is.
            const auto half = which.begin() + static_cast<std::ptrdiff_t>(which.size() / 2);
            submit(of, {which.begin(), half});
            submit(of, {half, which.end()});
            return;
        }
        for (std::size_t i = 0; i < which.size(); ++i) {
            settle(*of, of->rows[which[i]], got[whole ? 0 : i]);
        }
    }

    void settle(parcel& of, row& one, const result& got) {
        auto decided = verdict_of(got);
        const bool in_doubt = got.effect() == effect::unknown;
        if (decided == verdict::again && in_doubt && of.attempts >= most_doubts &&
            (got.code() == code::backend_conflict || got.code() == code::internal)) {
            decided = verdict::refused; // it stays so
            one.uncertain = true;
        }
        switch (decided) {
        case verdict::applied:
            one.is = row::fate::applied;
            last_settled_ = clock::now();
            break;
        case verdict::refused:
            one.is = row::fate::refused;
            one.why = {std::string{got.code_text()}, std::string{got.field()},
                       one.uncertain
                           ? "it is not known whether this row is in: " + std::string{got.detail()}
                       : got.reason().empty()
                           ? std::string{got.detail()}
                           : std::string{got.reason()} + " " + std::string{got.detail()}};
            last_settled_ = clock::now();
            break;
        case verdict::again:
            last_trouble_ = words_of(got);
            of.pause = std::max(of.pause, got.retry_after());
            break;
        case verdict::hopeless:
            stop(words_of(got));
            break;
        }
    }

    void stop(const std::string& why) {
        stopping_ = true;
        if (trouble_.empty()) {
            trouble_ = why;
        }
    }

    /// Takes out what is answered for good, in the order of the file.
    void retire() {
        while (!window_.empty() && window_.front()->under_way == 0 && window_.front()->settled()) {
            const auto of = std::move(window_.front());
            window_.pop_front();
            for (const auto& one : of->rows) {
                ++settled_;
                if (one.is == row::fate::applied) {
                    ++state_.applied;
                    continue;
                }
                ++state_.rejected;
                state_.uncertain += one.uncertain ? 1 : 0;
                show_first(++rejected_now_, one);
                rejects_->add(line_of(one));
            }
            state_.position = of->end;
            state_.line = of->next_line;
            if (!stopping_ && asked_.max_rejects && state_.rejected > *asked_.max_rejects) {
                stop("more than " + with_commas(*asked_.max_rejects) +
                     " rows were rejected (--max-rejects)");
            }
        }
        if (const auto now = clock::now(); now >= next_save_) {
            rejects_->flush();
            save();
            next_save_ = now + save_each;
        }
    }

    [[nodiscard]] std::string line_of(const row& one) const {
        return reject_line(format_, one.raw, columns_, one.line, one.why.code, one.why.field,
                           one.why.detail);
    }

    /// The first few are told at once: often all have one cause.
    void show_first(std::uint64_t number, const row& one) {
        constexpr std::uint64_t most = 5;
        if (asked_.quiet || number > most) {
            return;
        }
        progress_.end();
        err_ << "line " << one.line << ": " << one.why.code
             << (one.why.detail.empty() ? "" : ": " + one.why.detail)
             << (number == most ? " (further ones are not shown)\n" : "\n");
    }

    void save() {
        if (state_file_.empty()) {
            return;
        }
        state_.rejects_bytes = rejects_->bytes();
        if (state_ != saved_) {
            save_state(state_file_, state_);
            saved_ = state_;
        }
    }

    void wait() {
        auto longest = clock::now() + 100ms;
        if (!ended_ && window_.size() < asked_.window && !stopping_ && !broken_) {
            longest = std::min(longest, std::max(next_send_, clock::now() + 1ms));
        }
        std::unique_lock lock{mail_->mutex};
        mail_->filled.wait_until(lock, longest, [&] { return !mail_->items.empty(); });
    }

    [[nodiscard]] std::optional<double> part() const {
        if (input_.size() == 0) {
            return std::nullopt;
        }
        const auto at = asked_.dry_run ? at_ : state_.position;
        return std::min(1.0, static_cast<double>(at) / static_cast<double>(input_.size()));
    }

    exit_code finish() {
        if (!trouble_.empty()) {
            err_ << "bedsctl: " << trouble_ << '\n';
        }
        if (!asked_.quiet || !state_.done) {
            char seconds[32];
            std::snprintf(seconds, sizeof seconds, "%.1f", progress_.elapsed().count());
            err_ << "read " << with_commas(read_);
            if (may_be_known()) {
                err_ << ", answered " << with_commas(state_.applied - before_)
                     << " (some may have been imported before)";
            } else {
                err_ << ", applied " << with_commas(state_.applied - before_);
            }
            if (resumed_) {
                err_ << ", applied before " << with_commas(before_);
            }
            err_ << ", rejected " << with_commas(state_.rejected);
            if (state_.uncertain != 0) {
                err_ << " (" << with_commas(state_.uncertain) << " of them perhaps applied)";
            }
            if (state_.rejected != 0) {
                err_ << (state_.rejects.empty() ? " (not kept: there is no --rejects)"
                                                : " (" + state_.rejects + ")");
            }
            err_ << ", " << seconds << " s\n";
        }
        if (!state_.done) {
            // Up to a broken record all were answered, unless it was stopped before that.
            const bool at_the_break = broken_ && window_.empty();
            err_ << "stopped (exit code 3); every row before line "
                 << (at_the_break ? broken_line_ : std::max(state_.line, first_line_))
                 << " is answered. ";
            if (state_file_.empty()) {
                err_ << "The job is '" << state_.job
                     << "': the same input with --job does nothing twice\n";
            } else {
                err_ << (at_the_break ? "Mend it there; the" : "The")
                     << " same command goes on from there (" << state_file_.string() << ")\n";
            }
            return exit_code::unknown;
        }
        return tell_code(state_);
    }

    /// A reply does not tell whether the row was inserted now or when it was first sent.
    [[nodiscard]] bool may_be_known() const {
        return asked_.restart || (input_.is_stream() && !asked_.job.empty() && !resumed_);
    }

    /// How a finished import ends, and what is to be done.
    exit_code tell_code(const import_state& of) {
        const auto rows = [](std::uint64_t number) {
            return with_commas(number) + (number == 1 ? " row" : " rows");
        };
        if (of.uncertain != 0) {
            err_ << "of " << rows(of.uncertain) << " it is not known whether "
                 << (of.uncertain == 1 ? "it is" : "they are") << " in (exit code 3): look for "
                 << (of.uncertain == 1 ? "it" : "them") << " in the database before "
                 << (of.uncertain == 1 ? "it is" : "they are") << " imported again"
                 << (of.rejects.empty() ? "" : "; " + of.rejects + " tells which") << '\n';
            return exit_code::unknown;
        }
        if (of.rejected != 0) {
            err_ << rows(of.rejected) << (of.rejected == 1 ? " is" : " are")
                 << " not in (exit code 1): "
                 << (of.rejects.empty() ? "with --rejects they are kept, to be mended"
                     : of.rejected == 1 ? "mend it in " + of.rejects
                                        : "mend them in " + of.rejects)
                 << (of.rejects.empty() ? "\n" : ", and import that file\n");
            return exit_code::refused;
        }
        return exit_code::ok;
    }

    beds::client::client& through_;
    const import_options& asked_;
    std::ostream& err_;
    const std::function<bool()>& stopped_;
    input_file input_;
    row_format format_;
    std::vector<std::string> columns_;
    record_reader reader_;
    progress progress_;
    std::shared_ptr<inbox> mail_;
    std::unique_ptr<table_rows> table_;
    std::unique_ptr<rejects_file> rejects_;
    std::filesystem::path state_file_;
    import_state state_;
    import_state saved_;
    std::deque<std::shared_ptr<parcel>> window_;
    std::vector<csv_field> fields_;
    std::uint64_t at_ = 0;          ///< in the file: behind the last row that was read
    std::uint64_t next_line_ = 1;   ///< that begins there
    std::uint64_t first_line_ = 1;  ///< behind the header
    std::uint64_t broken_line_ = 0; ///< of the record behind which nothing can be read
    std::uint64_t read_ = 0;
    std::uint64_t settled_ = 0;
    std::uint64_t rejected_now_ = 0;
    std::uint64_t before_ = 0; ///< applied in earlier runs
    std::size_t under_way_ = 0;
    clock::time_point last_settled_{};
    clock::time_point next_send_{};
    clock::time_point next_save_{};
    std::string trouble_;      ///< why it stops
    std::string last_trouble_; ///< of what is sent again
    bool resumed_ = false;
    bool rejects_go_on_ = false; ///< behind those of a finished import, which nobody has touched
    bool sent_before_ = false;   ///< an earlier run may have sent what is behind the place
    bool ended_ = false;
    bool broken_ = false;
    bool stopping_ = false;
};

} // namespace

std::string rejects_beside(const std::string& input) {
    const std::filesystem::path file{input};
    auto made = file;
    // Refused rows that were mended, and of which some are refused again.
    static const std::regex refused{R"((.*\.)?rejects(?:\.([0-9]{1,6}))?(\.[^.]*)?)"};
    std::smatch parts;
    if (const auto name = file.filename().string(); std::regex_match(name, parts, refused)) {
        const auto number = parts[2].matched ? std::stoul(parts[2]) + 1 : 2;
        made.replace_filename(parts[1].str() + "rejects." + std::to_string(number) +
                              parts[3].str());
    } else {
        made.replace_filename(file.stem().string() + ".rejects" + file.extension().string());
    }
    return made.string();
}

std::string reject_header(const std::vector<std::string>& columns) {
    std::string made;
    for (const auto& one : columns) {
        if (one.substr(0, note_prefix.size()) != note_prefix) {
            append_csv(made, one, {});
            made.push_back(',');
        }
    }
    return made + "beds:line,beds:code,beds:field,beds:detail\n";
}

std::string reject_line(row_format format, std::string_view raw,
                        const std::vector<std::string>& columns, std::uint64_t line,
                        std::string_view code, std::string_view field, std::string_view detail) {
    const auto is_note = [](std::string_view name) {
        return name.substr(0, note_prefix.size()) == note_prefix;
    };
    std::string made;
    if (format == row_format::csv) {
        std::vector<csv_field> fields;
        const bool noted = std::any_of(columns.begin(), columns.end(), is_note);
        if (noted && !split_csv(raw, fields) && fields.size() == columns.size()) {
            // It was refused before: what was said then goes.
            for (std::size_t i = 0; i < fields.size(); ++i) {
                if (is_note(columns[i])) {
                    continue;
                }
                if (fields[i].quoted) {
                    append_csv(made, fields[i].text, fields[i].text);
                } else {
                    made.append(fields[i].text);
                }
                made.push_back(',');
            }
        } else {
            made.append(raw).push_back(',');
        }
        made.append(std::to_string(line)).push_back(',');
        made.append(code).push_back(',');
        append_csv(made, field, {});
        made.push_back(',');
        append_csv(made, detail, {});
        made.push_back('\n');
        return made;
    }
    std::string note = "\"beds:reject\":{\"line\":" + std::to_string(line) + ",\"code\":";
    beds::core::append_json_string(note, code);
    note.append(",\"field\":");
    beds::core::append_json_string(note, field);
    note.append(",\"detail\":");
    beds::core::append_json_string(note, detail);
    note.append("}}\n");
    beds::core::arena memory{4096};
    datum parsed;
    if (beds::core::parse_json(raw, memory, parsed) || !parsed.is(datum::kind::object)) {
        made = "{\"beds:text\":";
        beds::core::append_json_string(made, raw);
        return made + ',' + note;
    }
    const auto members = parsed.members();
    if (std::none_of(members.begin(), members.end(),
                     [&](const auto& one) { return is_note(one.name); })) {
        made.assign(raw.substr(0, raw.rfind('}')));
        return made + (members.empty() ? "" : ",") + note;
    }
    made = "{";
    for (const auto& one : members) {
        if (is_note(one.name)) {
            if (one.name != "beds:text") {
                continue;
            }
        }
        beds::core::append_json_string(made, one.name);
        made.push_back(':');
        beds::core::append_json(made, one.value);
        made.push_back(',');
    }
    return made + note;
}

exit_code run_import(beds::client::client& through, const import_options& asked, std::ostream& err,
                     bool terminal, const std::function<bool()>& stopped) {
    return importer{through, asked, err, terminal, stopped}.run();
}

} // namespace bedsctl
