// Shows that the adapter keeps the contract: all cases of BEDS's conformance suite, and our own
// for what only SQLite has, on a database in a temporary folder. Exits with 1 when one fails, or is
// skipped for a reason that we do not know.
//
//   ./adapter_conformance [TEXT]      only cases whose name has this text

#include "database.hpp"
#include "inbox.hpp"
#include "own_cases.hpp"
#include "sqlite_adapter.hpp"

#include <beds/testing/adapter_conformance.hpp>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

using namespace beds;

namespace {

/// What SQLite cannot do. Everything else has to pass.
const std::set<std::string> known_reasons = {"the engine has no procedures"};

class temporary_folder {
public:
    temporary_folder() {
        auto name = (std::filesystem::temp_directory_path() / "beds_sqlite_XXXXXX").string();
        if (mkdtemp(name.data()) == nullptr) {
            throw std::system_error{errno, std::generic_category(), name};
        }
        path_ = name;
    }
    ~temporary_folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    temporary_folder(const temporary_folder&) = delete;
    temporary_folder& operator=(const temporary_folder&) = delete;

    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

/// An empty file is an empty database.
std::filesystem::path made_empty(const std::filesystem::path& file) {
    const std::ofstream made{file};
    return file;
}

class sqlite_fixture final : public testing::conformance_fixture {
public:
    explicit sqlite_fixture(const std::filesystem::path& file)
        : tables_(made_empty(file)), adapter_(beds_sqlite::make_sqlite("rel", {.file = file})) {}

    [[nodiscard]] adapters::adapter& adapter() override { return *adapter_; }
    [[nodiscard]] templates::engine store() const override { return templates::engine::rel; }

    void prepare(const templates::template_def& target) override {
        tables_.execute("DROP TABLE IF EXISTS " + beds_sqlite::sql_name(target.object));
        for (const auto& statement : beds_sqlite::table_of(target)) {
            tables_.execute(statement);
        }
        beds_sqlite::make_inbox(tables_);
        tables_.execute("DELETE FROM beds_inbox");
    }

    [[nodiscard]] adapters::session_context context(std::string name) override {
        auto made = conformance_fixture::context(std::move(name));
        made.log = {observe::level::error, [](const observe::log_record& record) {
                        std::cerr << record.id << " (" << record.source << "): " << record.text
                                  << '\n';
                    }};
        return made;
    }

private:
    beds_sqlite::database tables_;
    std::shared_ptr<adapters::adapter> adapter_;
};

/// Did everything pass, but for what SQLite cannot do?
bool report(const std::vector<testing::conformance_result>& results) {
    std::size_t passed = 0;
    std::size_t skipped = 0;
    std::size_t failed = 0;
    for (const auto& each : results) {
        switch (each.verdict) {
        case testing::conformance_verdict::passed:
            ++passed;
            break;
        case testing::conformance_verdict::skipped:
            ++(known_reasons.count(each.text) != 0 ? skipped : failed);
            std::cout << "skipped  " << each.name << ": " << each.text << '\n';
            break;
        case testing::conformance_verdict::failed:
            ++failed;
            std::cout << "FAILED   " << each.name << ": " << each.text << '\n';
            break;
        }
    }
    std::cout << passed << " passed, " << skipped << " skipped, " << failed << " failed\n";
    return failed == 0 && passed > 0;
}

} // namespace

int main(int count, char** arguments) {
    const std::string_view filter = count > 1 ? arguments[1] : "";
    const temporary_folder folder;
    const auto file = folder.path() / "conformance.db";
    sqlite_fixture fixture{file};
    auto results = testing::run_conformance(fixture, filter);
    for (const auto& each : own_cases(file)) {
        if (each.name.find(filter) != std::string::npos) {
            results.push_back(testing::run_case(each, fixture));
        }
    }
    return report(results) ? 0 : 1;
}
