#include "export.hpp"

#include "arguments.hpp"
#include "print.hpp"
#include "progress.hpp"
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

/// A file under another name until it is complete.
class partial_file {
public:
    explicit partial_file(const std::string& name) : name_(name), partial_(name + ".partial") {
        stream_.open(partial_, std::ios::binary | std::ios::trunc);
        if (!stream_) {
            throw usage_error("cannot write '" + partial_ + "'");
        }
    }
    ~partial_file() {
        if (!complete_) {
            std::error_code ignored;
            std::filesystem::remove(partial_, ignored);
        }
    }
    partial_file(const partial_file&) = delete;
    partial_file& operator=(const partial_file&) = delete;

    std::ostream& stream() { return stream_; }
    void complete() {
        stream_.close();
        if (!stream_) {
            throw std::runtime_error("cannot write '" + partial_ + "'");
        }
        std::filesystem::rename(partial_, name_);
        complete_ = true;
    }

private:
    std::string name_;
    std::string partial_;
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
        file = std::make_unique<partial_file>(asked.output);
    }
    std::ostream& to = file ? file->stream() : out;
    std::string text;
    if (format == row_format::csv) {
        for (const auto& one : columns) {
            text.append(text.empty() ? "" : ",").append(one);
        }
        text.push_back('\n');
    }

    progress shown{err, asked.quiet ? progress::manner::quiet
                        : terminal  ? progress::manner::terminal
                                    : progress::manner::lines};
    auto most = std::min(asked.page.value_or(table.max_rows()), table.max_rows());
    std::uint64_t written = 0;
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
        err << "bedsctl: " << why << "; " << with_commas(written) << " rows were written"
            << (file ? ", the file is taken away" : "") << '\n';
        return with;
    };
    auto last_page = clock::now();
    auto pause = 200ms;
    auto next = std::make_unique<page>(ask(0));
    for (;;) {
        const auto got = next->take();
        next.reset();
        if (stopped()) {
            return ended("stopped", exit_code::unknown);
        }
        const auto result = got.front();
        if (!result.ok()) {
            if (result.code() == code::limit_exceeded && most > 1) {
                most = std::max(most / 2, 1U); // rows are large
            } else if (may_come_later(result) && clock::now() - last_page < asked.patience) {
                const auto until = clock::now() + std::max(pause, result.retry_after());
                while (clock::now() < until && !stopped()) {
                    std::this_thread::sleep_for(50ms);
                }
                pause = std::min<std::chrono::milliseconds>(pause * 2, 10'000ms);
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
        shown.show({.rows = written});
        if (last) {
            break;
        }
    }
    shown.end();
    if (file) {
        file->complete();
    }
    if (!asked.quiet) {
        err << with_commas(written) << " rows written\n";
    }
    return exit_code::ok;
}

} // namespace bedsctl
