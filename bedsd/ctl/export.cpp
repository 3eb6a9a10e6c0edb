#include "export.hpp"

#include "arguments.hpp"
#include "export_state.hpp"
#include "print.hpp"
#include "progress.hpp"
#include "state_file.hpp"
#include "table_rows.hpp"

#include <beds/core/error.hpp>
#include <beds/core/json.hpp>

#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <ostream>
#include <stdexcept>
#include <system_error>
#include <thread>

namespace bedsctl {
namespace {

using namespace std::chrono_literals;
using beds::client::operation;
using beds::client::reply;
using beds::core::code;
using clock = std::chrono::steady_clock;

row_format chosen_format(const export_options& asked) {
    if (asked.format) {
        return *asked.format;
    }
    if (asked.output == "-") {
        return row_format::csv;
    }
    if (const auto named = format_of_name(asked.output)) {
        return *named;
    }
    throw usage_error("CSV or NDJSON? The name of '" + asked.output +
                      "' does not tell: give --format csv or --format ndjson");
}

/// Everything on which the bytes of the file depend but the rows.
std::string question_of(const export_options& asked, row_format format,
                        const std::vector<std::string>& columns) {
    std::string made = format == row_format::csv ? "csv" : "ndjson";
    const auto add = [&](std::string_view text) {
        made.push_back(' ');
        beds::core::append_json_string(made, text);
    };
    add(asked.template_name);
    made.append(" fields");
    std::for_each(columns.begin(), columns.end(), add);
    made.append(" where");
    std::for_each(asked.where.begin(), asked.where.end(), add);
    if (format == row_format::csv) {
        made.append(" null");
        add(asked.null_text);
    }
    return asked.limit ? made + " limit " + std::to_string(*asked.limit) : made;
}

/// A file under another name until it is complete, with what is needed to go on.
class partial_file {
public:
    /// `anew`: whatever was noted.
    partial_file(const std::string& name, std::string question, bool anew)
        : name_(name), partial_(name + ".partial"), state_file_(name + ".beds-export"),
          lock_(partial_) {
        state_.question = std::move(question);
        if (!anew) {
            go_on();
        }
        if (state_.rows == 0) { // first the note, which would speak of another file
            std::filesystem::remove(state_file_);
            std::filesystem::resize_file(partial_, 0);
        }
        stream_.open(partial_, std::ios::binary | std::ios::in | std::ios::out);
        stream_.seekp(0, std::ios::end);
        if (!stream_) {
            throw usage_error("cannot write '" + partial_ + "'");
        }
    }
    ~partial_file() {
        if (!complete_ && state_.rows == 0) {
            remove_all();
        }
    }
    partial_file(const partial_file&) = delete;
    partial_file& operator=(const partial_file&) = delete;

    std::ostream& stream() { return stream_; }
    /// What the file holds already.
    [[nodiscard]] const export_state& state() const { return state_; }
    /// From here the same command goes on.
    void note(std::uint64_t rows, const std::string& after) {
        stream_.flush();
        if (!stream_) {
            return; // what was noted before holds
        }
        sync_to_disk(partial_);
        state_.rows = rows;
        state_.bytes = static_cast<std::uint64_t>(stream_.tellp());
        state_.after = after;
        write_state(state_file_, to_json(state_));
    }
    void complete() {
        stream_.close();
        if (!stream_) {
            throw std::runtime_error("cannot write '" + partial_ + "'");
        }
        sync_to_disk(partial_);
        std::filesystem::remove(state_file_);
        std::filesystem::rename(partial_, name_);
        complete_ = true;
    }

private:
    void go_on() {
        const auto text = read_state(state_file_);
        if (!text) {
            return;
        }
        const auto before = parse_export_state(*text);
        if (!before || before->question != state_.question) {
            throw usage_error(
                "'" + state_file_ + "' is of an export " +
                (before ? "that asked for something else" : "of another version of bedsctl") +
                ": begin anew with --restart, or write another file");
        }
        if (std::filesystem::file_size(partial_) < before->bytes) {
            throw usage_error("'" + partial_ + "' is not what '" + state_file_ +
                              "' says: begin anew with --restart");
        }
        std::filesystem::resize_file(partial_, before->bytes);
        state_ = *before;
    }
    void remove_all() {
        std::error_code ignored;
        std::filesystem::remove(partial_, ignored);
        std::filesystem::remove(state_file_, ignored);
        std::filesystem::remove(state_file_ + ".new", ignored);
    }

    std::string name_;
    std::string partial_;
    std::string state_file_;
    file_lock lock_;
    export_state state_;
    std::ofstream stream_;
    bool complete_ = false;
};

/// One page that is on its way.
class page {
public:
    page(beds::client::client& through, operation what, std::chrono::milliseconds within)
        : shared_(std::make_shared<shared>()) {
        through.submit(std::move(what), beds::core::deadline::after(within),
                       [into = shared_](reply got) {
                           const std::lock_guard lock{into->mutex};
                           into->got.emplace(std::move(got));
                           into->came.notify_all();
                       });
    }
    reply take() {
        std::unique_lock lock{shared_->mutex};
        shared_->came.wait(lock, [&] { return shared_->got.has_value(); });
        return std::move(*shared_->got);
    }

private:
    struct shared {
        std::mutex mutex;
        std::condition_variable came;
        std::optional<reply> got;
    };
    std::shared_ptr<shared> shared_;
};

bool may_come_later(const beds::client::result& got) {
    return got.retryable() || got.code() == code::deadline_exceeded ||
           got.code() == code::misrouted;
}

/// The answer is no for one row of the page: the others can be read.
bool is_of_one_row(const beds::client::result& got, const table_rows& table) {
    const auto names = table.fields();
    return (got.code() == code::internal || got.code() == code::unsupported) &&
           !may_come_later(got) &&
           std::find(names.begin(), names.end(), got.field()) != names.end();
}

/// The key of the row that `what` finds first, as JSON; or "" when it cannot be read.
std::string key_of_next(beds::client::client& through, operation what, const table_rows& table,
                        std::chrono::milliseconds within) {
    what.fields = table.key();
    what.limit = 1;
    const auto got = through.call(std::move(what), beds::core::deadline::after(within));
    std::string key;
    if (got.ok() && got.front().size() == 1) {
        beds::core::append_json(key, got.front()[0].data());
    }
    return key;
}

} // namespace

exit_code run_export(beds::client::client& through, const export_options& asked, std::ostream& out,
                     std::ostream& err, bool terminal, const std::function<bool()>& stopped) {
    const auto format = chosen_format(asked);
    call_arguments words;
    words.template_name = asked.template_name;
    words.op = "find";
    words.where = asked.where;
    words.fields = asked.fields;
    auto what = make_operation(words);

    const auto described = through.call(beds::client::describe(asked.template_name), asked.timeout);
    const auto* templates = described.ok() ? described.front().data().find("templates") : nullptr;
    if (templates == nullptr || templates->count != 1) {
        print_reply(err, err, described);
        return described.ok() ? exit_code::unknown : exit_code_of(described);
    }
    const table_rows table{templates->items().front()};
    const auto columns = asked.fields.empty() ? table.fields() : asked.fields;
    what.fields = columns;

    std::unique_ptr<partial_file> file;
    if (asked.output != "-") {
        file = std::make_unique<partial_file>(asked.output, question_of(asked, format, columns),
                                              asked.restart || !asked.goes_on);
    }
    std::ostream& to = file ? file->stream() : out;
    const auto begun = file ? file->state().rows : 0;
    what.after = file ? file->state().after : "";
    std::string text;
    if (format == row_format::csv && begun == 0) {
        for (const auto& one : columns) {
            text.append(text.empty() ? "" : ",").append(one);
        }
        text.push_back('\n');
    }

    progress shown{err, asked.quiet ? progress::manner::quiet
                        : terminal  ? progress::manner::terminal
                                    : progress::manner::lines};
    auto most = std::min(asked.page.value_or(table.max_rows()), table.max_rows());
    auto written = begun;
    auto goes_on_at = what.after; // behind the rows that are written
    auto noted = clock::now();
    const auto ask = [&](std::uint64_t before) {
        what.limit = most;
        if (asked.limit) {
            what.limit =
                static_cast<std::uint32_t>(std::min<std::uint64_t>(most, *asked.limit - before));
        }
        return page{through, what, asked.timeout};
    };
    const auto ended = [&](const std::string& why, exit_code with) {
        shown.end();
        err << "bedsctl: " << why << "; " << with_commas(written) << " rows were written";
        if (file && asked.goes_on && written != begun) {
            file->note(written, goes_on_at);
        }
        if (file && file->state().rows != 0 && with != exit_code::usage) {
            err << ", and the same command goes on from there while the service's cursors are good "
                   "("
                << asked.output << ".beds-export)";
        }
        err << '\n';
        return with;
    };
    auto last_page = clock::now();
    auto pause = 200ms;
    auto next = std::make_unique<page>(ask(written));
    for (;;) {
        const auto got = next->take();
        next.reset();
        if (stopped()) {
            return ended("stopped", exit_code::unknown);
        }
        const auto result = got.front();
        if (!result.ok()) {
            const bool one_row = is_of_one_row(result, table);
            if (result.code() == code::limit_exceeded && most > 1) {
                most = std::max(most / 2, 1U); // rows are large
            } else if (one_row && what.limit > 1U) {
                most = *what.limit / 2; // what stands before that row is written
            } else if (one_row) {
                const auto key = key_of_next(through, what, table, asked.timeout);
                const std::string field{result.field()};
                const auto keys = table.key();
                const bool in_key = std::find(keys.begin(), keys.end(), field) != keys.end();
                return ended(std::string{result.code_text()} + ": " + std::string{result.detail()} +
                                 ", field '" + field + "' of row " + with_commas(written + 1) +
                                 (key.empty() ? "" : ", " + key) + ": mend it in the database" +
                                 (in_key ? "" : ", or leave the field out with --fields"),
                             exit_code_of(got));
            } else if (may_come_later(result) && clock::now() - last_page < asked.patience) {
                const auto until = clock::now() + std::max(pause, result.retry_after());
                while (clock::now() < until && !stopped()) {
                    std::this_thread::sleep_for(50ms);
                }
                pause = std::min<std::chrono::milliseconds>(pause * 2, 10'000ms);
            } else if (begun != 0 && written == begun && result.field() == "after") {
                return ended("the service does not know any more where it was: begin anew with "
                             "--restart (" +
                                 std::string{result.detail()} + ")",
                             exit_code::usage);
            } else {
                return ended(std::string{result.code_text()} + ": " + std::string{result.detail()},
                             exit_code_of(got));
            }
            next = std::make_unique<page>(ask(written));
            continue;
        }
        last_page = clock::now();
        pause = 200ms;
        const auto after = written + result.size();
        what.after = std::string{result.next()};
        const bool last = what.after.empty() || (asked.limit && after >= *asked.limit);
        if (!last) {
            next = std::make_unique<page>(ask(after)); // comes while this one is written
        }
        for (std::size_t i = 0; i < result.size(); ++i) {
            if (format == row_format::csv) {
                table.append_csv_row(text, result[i].data(), columns, asked.null_text);
            } else {
                beds::core::append_json(text, result[i].data());
                text.push_back('\n');
            }
        }
        to.write(text.data(), static_cast<std::streamsize>(text.size()));
        text.clear();
        if (!to) {
            return ended("what is written does not arrive", exit_code::unknown);
        }
        written = after;
        goes_on_at = result.next();
        shown.show({.rows = written - begun});
        if (last) {
            break;
        }
        if (file && asked.goes_on && clock::now() - noted > 1s) {
            file->note(written, goes_on_at);
            noted = clock::now();
        }
    }
    shown.end();
    if (file) {
        file->complete();
    }
    if (!asked.quiet) {
        err << with_commas(written) << " rows written"
            << (begun != 0 ? ", " + with_commas(begun) + " of them before" : std::string{}) << '\n';
    }
    return exit_code::ok;
}

} // namespace bedsctl
