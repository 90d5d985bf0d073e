#!/usr/bin/env bash
# Check and build a release: tools/release.sh VERSION, or `make release VERSION=...`. Uploads nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "release: $*" >&2; exit 2; }

version="${1:-}"
[[ "$version" =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || fail "expected a version such as 0.2.0; got '$version'."
[[ -z "$(git status --porcelain)" ]] || fail "expected a clean tree; commit or stash what git status shows."
git rev-parse -q --verify "refs/tags/v$version" >/dev/null && fail "the tag v$version is there already."
own="$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' src/elbax/_version.py)"
[[ "$own" == "$version" ]] || fail "src/elbax/_version.py says $own; make it $version and commit."
grep -q "^version: \"\?$version\"\?$" CITATION.cff || fail "CITATION.cff has another version than $version."
grep -qE "^## $version( |$)" CHANGELOG.md || fail "CHANGELOG.md has no section '## $version'."
grep -qE "^## $version .*unreleased" CHANGELOG.md && fail "CHANGELOG.md calls $version unreleased; give its date."

bin="${BIN:-.venv/bin}"
if [[ "${SKIP_TESTS:-}" != 1 ]]; then  # for trying this script
	make test docs
fi
rm -rf dist
"$bin/python" -m build --outdir dist .
ls dist/elbax-"$version"-py3-none-any.whl dist/elbax-"$version".tar.gz >/dev/null
"$bin/pytest" -q -m "slow or not slow" tests/unit/test_wheel.py

git tag -a "v$version" -m "elbax $version"
cat <<END
Built dist/elbax-$version-py3-none-any.whl and dist/elbax-$version.tar.gz, and tagged v$version here.
Nothing was uploaded. To publish:
  git push origin v$version
  python -m pip install twine && python -m twine upload dist/elbax-$version*
To take it back before that: git tag -d v$version
END
