// What a rank may ask for, and what only a damaged or hostile one would.
#include "checkpoint/manifest.h"

#include <gmock/gmock.h>

#include "tests/checkpoint/store_test_util.h"

namespace ftmpi::checkpoint {
namespace {

TEST(StoreManifest, AttributesAreChecked) {
  const CheckpointAttributes good = TestAttributes(5, 1, 2);
  EXPECT_EQ(Invalid(good), nullptr);
  const auto changed = [&](const std::function<void(CheckpointAttributes*)>& change) {
    CheckpointAttributes attributes = good;
    change(&attributes);
    return Invalid(attributes) != nullptr;
  };
  using A = CheckpointAttributes*;
  EXPECT_TRUE(changed([](A a) { a->csn = 0; }));
  EXPECT_TRUE(changed([](A a) { a->csn = kMaximumCsn + 1; }));
  EXPECT_TRUE(changed([](A a) { a->base_csn = a->csn; }));
  EXPECT_FALSE(changed([](A a) { a->base_csn = a->csn - 1; }));
  EXPECT_TRUE(changed([](A a) { a->rank = a->np; }));
  EXPECT_TRUE(changed([](A a) { a->rank = -1; }));
  EXPECT_TRUE(changed([](A a) { a->np = 0; }));
  EXPECT_TRUE(changed([](A a) { a->kind = static_cast<CheckpointKind>(5); }));
  EXPECT_TRUE(changed([](A a) { a->kind = static_cast<CheckpointKind>(0); }));
  EXPECT_TRUE(changed([](A a) { a->state = 0; }));
  EXPECT_TRUE(changed([](A a) { a->state = 4; }));
  EXPECT_TRUE(changed([](A a) { std::memset(a->node, 'n', sizeof a->node); }));
  EXPECT_TRUE(changed([](A a) { std::memset(a->mpi_version, 'n', sizeof a->mpi_version); }));
}

TEST(StoreManifest, SectionsAreChecked) {
  const Section good = TestSection(0x7000, 3 * kPageSize + 1, "arena");
  EXPECT_EQ(Invalid(good), nullptr);
  const auto changed = [&](const std::function<void(Section*)>& change) {
    Section section = good;
    change(&section);
    return Invalid(section) != nullptr;
  };
  EXPECT_TRUE(changed([](Section* s) { s->length = ~std::uint64_t{0}; }));
  EXPECT_TRUE(changed([](Section* s) { s->address = ~std::uint64_t{0}; }));
  EXPECT_TRUE(changed([](Section* s) { s->kind = static_cast<SectionKind>(6); }));
  EXPECT_TRUE(changed([](Section* s) { s->protection = 8; }));
  EXPECT_TRUE(changed([](Section* s) { s->flags = 2; }));
  EXPECT_TRUE(changed([](Section* s) { s->range_count = 1; }));
  EXPECT_TRUE(changed([](Section* s) { std::memset(s->name, 'n', sizeof s->name); }));
  EXPECT_FALSE(changed([](Section* s) { s->flags = kSectionListedPages; }));
  EXPECT_TRUE(changed([](Section* s) {
    s->flags = kSectionListedPages;
    s->address += 8;
  }));
  EXPECT_TRUE(changed([](Section* s) {
    s->flags = kSectionListedPages;
    s->range_count = 1000;
  }));
}

TEST(StoreManifest, ListedPagesAreChecked) {
  const Section section = TestSection(0x7000, 3 * kPageSize + 1, "arena");  // four pages
  const auto invalid = [&](std::vector<PageRange> ranges) {
    return Invalid(section, ranges) != nullptr;
  };
  EXPECT_FALSE(invalid({}));
  EXPECT_FALSE(invalid({{0, 4}}));
  EXPECT_FALSE(invalid({{0, 1}, {1, 1}, {3, 1}}));
  EXPECT_TRUE(invalid({{0, 5}}));
  EXPECT_TRUE(invalid({{4, 1}}));
  EXPECT_TRUE(invalid({{1, 0}}));
  EXPECT_TRUE(invalid({{1, 1}, {0, 1}}));
  EXPECT_TRUE(invalid({{0, 2}, {1, 1}}));
  EXPECT_TRUE(invalid({{1, ~std::uint64_t{0}}}));
  EXPECT_TRUE(invalid({{~std::uint64_t{0}, 1}}));
}

TEST(StoreManifest, DatasetNamesAreThoseOfTheFormat) {
  const std::vector<double> values(3);
  const auto invalid = [&](const char* name) {
    return Invalid(TestDataset(name, ElementType::kFloat64, values)) != nullptr;
  };
  for (const char* name : {"in_transit", "dependency_vector", "mtv/pre", "mtv/cur", "engine/queues",
                           "process/registers", "registered/a field with spaces"}) {
    EXPECT_FALSE(invalid(name)) << name;
  }
  for (const char* name : {"", "engine", "engine/", "engine/..", "engine/a/b", "image/000000",
                           "mtv/other", "/in_transit", "registered/a\nb", "other/x"}) {
    EXPECT_TRUE(invalid(name)) << name;
  }
  Dataset dataset = TestDataset("in_transit", ElementType::kFloat64, values);
  dataset.count = ~std::uint64_t{0} / 4;
  EXPECT_NE(Invalid(dataset), nullptr);
  dataset.count = 1;
  dataset.type = static_cast<ElementType>(15);
  EXPECT_NE(Invalid(dataset), nullptr);
}

TEST(StoreManifest, SectionsDontOverlapAndACompleteFileListsNoPages) {
  CheckpointAttributes attributes = TestAttributes(5);
  std::vector<Section> sections{TestSection(0x1000, 0x1000, "a"), TestSection(0x2000, 8, "b")};
  EXPECT_EQ(Invalid(attributes, sections, {}), nullptr);
  sections[0].length = 0x1001;
  EXPECT_NE(Invalid(attributes, sections, {}), nullptr);
  sections[0].length = 0x1000;
  std::swap(sections[0], sections[1]);
  EXPECT_NE(Invalid(attributes, sections, {}), nullptr);
  std::swap(sections[0], sections[1]);
  sections[1].flags = kSectionListedPages;
  EXPECT_NE(Invalid(attributes, sections, {}), nullptr);
  attributes.base_csn = 4;
  EXPECT_EQ(Invalid(attributes, sections, {}), nullptr);
  attributes.state = kStateRegistered;
  EXPECT_NE(Invalid(attributes, sections, {}), nullptr);
  EXPECT_EQ(Invalid(attributes, {}, {}), nullptr);
}

}  // namespace
}  // namespace ftmpi::checkpoint
