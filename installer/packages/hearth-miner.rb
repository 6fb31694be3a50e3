# Homebrew formula. A template: installer/packages.sh fills it from a release's SHA256SUMS.
class HearthMiner < Formula
  desc "Train a large language model together, at home"
  homepage "@HOMEPAGE@"
  version "@VERSION@"
  license any_of: ["MIT", "Apache-2.0"]

  # @IF aarch64-apple-darwin@
  on_macos do
    on_arm do
      url "@URL@"
      sha256 "@SHA256@"
    end
  end

  # @END@
  # @IF x86_64-apple-darwin@
  on_macos do
    on_intel do
      url "@URL@"
      sha256 "@SHA256@"
    end
  end

  # @END@
  # @IF aarch64-unknown-linux-gnu@
  on_linux do
    on_arm do
      url "@URL@"
      sha256 "@SHA256@"
    end
  end

  # @END@
  # @IF x86_64-unknown-linux-gnu@
  on_linux do
    on_intel do
      url "@URL@"
      sha256 "@SHA256@"
    end
  end

  # @END@
  def install
    bin.install "bin/hearth"
    man1.install Dir["share/man/man1/*.1"]
    bash_completion.install "share/bash-completion/completions/hearth"
    zsh_completion.install "share/zsh/site-functions/_hearth"
    fish_completion.install "share/fish/vendor_completions.d/hearth.fish"
  end

  test do
    assert_equal "hearth #{version}", shell_output("#{bin}/hearth --version").strip
  end
end
