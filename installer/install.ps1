# Installs Hearth for one user on Windows: no administrator, nothing outside of this user's folders,
# every file noted in a manifest so that -Uninstall removes exactly those. -Help says more.
# For Windows PowerShell 5.1 and later. Everything is in functions and called from the last lines, so
# that half a script does nothing.
[CmdletBinding()]
param(
    [string]$From = '',
    [switch]$FromSource,
    [string]$Version = '',
    [string]$Prefix = '',
    [switch]$NoModifyPath,
    [switch]$Uninstall,
    [switch]$KeepKeys,
    [switch]$Purge,
    [switch]$Yes,
    [switch]$Help
)

Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'
# The bar of Invoke-WebRequest slows a download down many times.
$ProgressPreference = 'SilentlyContinue'

function Write-Usage {
    Write-Output @'
Installs Hearth for you alone, without an administrator.

  install.ps1 -From FOLDER-OR-URL   from a release (a folder with SHA256SUMS, or its address)
  install.ps1 -FromSource           from the source tree this script lies in (needs Rust);
                                    -From FOLDER names another tree
  install.ps1 -Uninstall            removes the program; keys and data stay

  -Version VERSION   this version instead of the newest in the release
  -Prefix FOLDER     where it goes [%LOCALAPPDATA%\Programs\Hearth]
  -NoModifyPath      leave your PATH alone
  -KeepKeys          with -Uninstall: also delete settings and data, but not the keys
  -Purge             with -Uninstall: delete everything, also the keys
  -Yes               do not ask before deleting

If Windows refuses to run this script: powershell -ExecutionPolicy Bypass -File install.ps1 ...
The program is run once (hearth --version) before it takes the place of an older one, which is kept
as hearth.previous.exe. A Hearth that runs goes on with the version it was started with.
'@
}

# A refusal for the person's eye: told in one piece, without PowerShell's own trimmings.
function Stop-Hearth([string]$Message) {
    throw [System.OperationCanceledException]::new($Message)
}

# ---- places ----

function Get-Places {
    $home_folder = $Prefix
    if (-not $home_folder -and $Uninstall -and $PSScriptRoot -and
        (Test-Path -LiteralPath (Join-Path $PSScriptRoot 'manifest.txt'))) {
        # The copy that was installed knows where it was installed to.
        $home_folder = Split-Path -Parent (Split-Path -Parent $PSScriptRoot)
    }
    if (-not $home_folder) {
        if (-not $env:LOCALAPPDATA) {
            Stop-Hearth 'LOCALAPPDATA is not set, so there is no place to install to; name one with -Prefix'
        }
        $home_folder = Join-Path $env:LOCALAPPDATA 'Programs\Hearth'
    }
    $home_folder = $ExecutionContext.SessionState.Path.GetUnresolvedProviderPathFromPSPath($home_folder)
    $home_folder = $home_folder.TrimEnd('\')
    if ($home_folder.Contains(';')) {
        Stop-Hearth "a folder with a semicolon in its name cannot be on the PATH: $home_folder"
    }
    $library = Join-Path $home_folder 'lib\hearth'
    @{
        Prefix   = $home_folder
        Bin      = Join-Path $home_folder 'bin'
        Program  = Join-Path $home_folder 'bin\hearth.exe'
        Previous = Join-Path $home_folder 'bin\hearth.previous.exe'
        Library  = $library
        Manifest = Join-Path $library 'manifest.txt'
        Shortcut = Join-Path ([Environment]::GetFolderPath('Programs')) 'Hearth.lnk'
    }
}

# Hearth's own folders (src/config/folders.rs).
function Get-DataFolders {
    if ($env:HEARTH_HOME) {
        $found = 'data', 'config', 'state', 'cache' | ForEach-Object { Join-Path $env:HEARTH_HOME $_ }
    }
    else {
        $found = @()
        if ($env:APPDATA) { $found += Join-Path $env:APPDATA 'hearth' }
        if ($env:LOCALAPPDATA) { $found += Join-Path $env:LOCALAPPDATA 'hearth' }
    }
    @($found | Where-Object { Test-Path -LiteralPath $_ -PathType Container })
}

# ---- the release: find, fetch, check, unpack ----

function Test-Url([string]$Text) { $Text -match '^https?://' }

function Assert-Origin([string]$Origin) {
    if (-not $Origin) {
        Stop-Hearth @'
there is no public release of Hearth yet, so there is nothing to download.
Build it here:      install.ps1 -FromSource   (in the source tree; needs Rust)
Or name a release:  install.ps1 -From FOLDER-OR-URL
'@
    }
    if ($Origin -match '^http://' -and $Origin -notmatch '^http://(localhost|127\.0\.0\.1|\[::1\])[:/]') {
        Stop-Hearth "${Origin}: over http anybody on the way could swap the program; use https"
    }
    if (-not (Test-Url $Origin) -and -not (Test-Path -LiteralPath $Origin -PathType Container)) {
        Stop-Hearth "${Origin}: there is no such folder"
    }
}

# The targets that run here, best first, as releases name them.
function Get-Targets {
    if ([Environment]::OSVersion.Platform -ne 'Win32NT') {
        Stop-Hearth 'this is not Windows: run install.sh instead'
    }
    # A 32-bit PowerShell on a 64-bit Windows says x86; the other variable tells the truth.
    $machine = $env:PROCESSOR_ARCHITECTURE
    if ($env:PROCESSOR_ARCHITEW6432) { $machine = $env:PROCESSOR_ARCHITEW6432 }
    switch ($machine) {
        'AMD64' { 'x86_64-pc-windows-msvc', 'x86_64-pc-windows-gnu' }
        # Windows on ARM also runs programs for x86_64.
        'ARM64' { 'aarch64-pc-windows-msvc', 'x86_64-pc-windows-msvc' }
        default { "$machine-pc-windows-msvc" }
    }
}

# Brings one file of the release into the work folder.
function Copy-FromRelease([string]$Origin, [string]$Name, [string]$Work) {
    $goal = Join-Path $Work $Name
    if (-not (Test-Url $Origin)) {
        $source = Join-Path $Origin $Name
        if (-not (Test-Path -LiteralPath $source -PathType Leaf)) {
            Stop-Hearth "$Origin has no ${Name}: is it a release folder?"
        }
        Copy-Item -LiteralPath $source -Destination $goal
        return
    }
    $address = $Origin.TrimEnd('/') + '/' + $Name
    try {
        [Net.ServicePointManager]::SecurityProtocol =
            [Net.ServicePointManager]::SecurityProtocol -bor [Net.SecurityProtocolType]::Tls12
        Invoke-WebRequest -UseBasicParsing -Uri $address -OutFile $goal -TimeoutSec 600
    }
    catch {
        Stop-Hearth ("$address could not be downloaded ($($_.Exception.Message)); nothing was changed. " +
            'Check the address and the network')
    }
}

# SHA256SUMS as a table from name to checksum.
function Read-Sums([string]$Path) {
    $sums = @{}
    foreach ($line in Get-Content -LiteralPath $Path) {
        if ($line -match '^([0-9A-Fa-f]{64})[ ]+\*?([0-9A-Za-z._+-]+)$') {
            $sums[$Matches[2]] = $Matches[1].ToLowerInvariant()
        }
    }
    $sums
}

# The newest archive that runs here, or the one asked for: its name, version and folder.
function Select-Archive($Sums, [string[]]$Targets, [string]$Wanted) {
    foreach ($target in $Targets) {
        $pattern = '^hearth-([0-9][0-9A-Za-z.+-]*)-' + [regex]::Escape($target) + '\.zip$'
        $fitting = foreach ($name in $Sums.Keys) {
            if ($name -match $pattern) {
                $found = $Matches[1]
                if ($Wanted -and $found -ne $Wanted) { continue }
                $numbers = ($found -split '[.+-]') + '0', '0', '0'
                $key = 0..2 | ForEach-Object {
                    $number = 0
                    [void][int]::TryParse($numbers[$_], [ref]$number)
                    '{0:d9}' -f $number
                }
                # A version with a dash comes before the one without.
                $final = [int](-not $found.Contains('-'))
                [pscustomobject]@{ Name = $name; Version = $found; Key = ($key -join '') + $final }
            }
        }
        if ($fitting) { return $fitting | Sort-Object Key | Select-Object -Last 1 }
    }
    $offered = ($Sums.Keys | Where-Object { $_ -like 'hearth-*' } | Sort-Object) -join ', '
    if (-not $offered) { $offered = 'nothing' }
    Stop-Hearth ("the release has no Hearth $Wanted for Windows on this processor ($($Targets[0])). It has: " +
        "$offered. Build it here instead: install.ps1 -FromSource (in the source tree; needs Rust)")
}

function Assert-Checksum([string]$Path, [string]$Expected) {
    $found = (Get-FileHash -LiteralPath $Path -Algorithm SHA256).Hash.ToLowerInvariant()
    if ($found -ne $Expected) {
        Stop-Hearth ("$(Split-Path -Leaf $Path) is not what SHA256SUMS says: it has the checksum $found " +
            "instead of $Expected. It was not unpacked and nothing was changed. Download it again; if " +
            'that does not help, do not use it')
    }
}

function Find-SourceTree {
    $tree = $From
    if (-not $tree -and $PSScriptRoot) { $tree = Split-Path -Parent $PSScriptRoot }
    $cargo_file = if ($tree) { Join-Path $tree 'Cargo.toml' } else { '' }
    if (-not $cargo_file -or -not (Test-Path -LiteralPath $cargo_file) -or
        -not (Select-String -LiteralPath $cargo_file -Pattern '^name = "hearth-miner"' -Quiet)) {
        Stop-Hearth "'$tree' is not Hearth's source tree; name it: -FromSource -From FOLDER"
    }
    (Resolve-Path -LiteralPath $tree).ProviderPath
}

# Builds from a source tree; the last thing it returns is the program.
function Build-Hearth([string]$Tree) {
    if (-not (Get-Command cargo -ErrorAction SilentlyContinue)) {
        Stop-Hearth 'building needs Rust and cargo is not here; get it from https://rustup.rs, then run this again'
    }
    $built = if ($env:CARGO_TARGET_DIR) { $env:CARGO_TARGET_DIR } else { Join-Path $Tree 'target' }
    $triple = ((& rustc -vV) | Where-Object { $_ -like 'host: *' }) -replace '^host: ', ''
    Write-Output "Building Hearth in $built (this takes a while)" | Out-Host
    Push-Location -LiteralPath $Tree
    try {
        & cargo build --profile dist --locked --bin hearth --target $triple --target-dir $built | Out-Host
        if ($LASTEXITCODE -ne 0) { Stop-Hearth 'it could not be built; the lines above say why' }
    }
    finally { Pop-Location }
    Join-Path $built "$triple\dist\hearth.exe"
}

# A folder laid out like a release archive, from a program that was just built.
function New-Tree([string]$Program, [string]$Source, [string]$Tree) {
    foreach ($folder in 'bin', 'lib\hearth', 'share\powershell', 'share\doc\hearth') {
        [void](New-Item -ItemType Directory -Force -Path (Join-Path $Tree $folder))
    }
    Copy-Item -LiteralPath $Program -Destination (Join-Path $Tree 'bin\hearth.exe')
    & $Program completions powershell | Set-Content -LiteralPath (Join-Path $Tree 'share\powershell\hearth.ps1')
    Copy-Item -LiteralPath (Join-Path $Source 'installer\install.ps1') -Destination (Join-Path $Tree 'lib\hearth')
    foreach ($name in 'LICENSE-MIT', 'LICENSE-APACHE', 'README.md', 'CHANGELOG.md') {
        $file = Join-Path $Source $name
        if (Test-Path -LiteralPath $file) { Copy-Item -LiteralPath $file -Destination (Join-Path $Tree 'share\doc\hearth') }
    }
}

# ---- the manifest: lines of "file PATH", "folder PATH", "path PATH" ----

function Read-Manifest($Places, [string]$Kind) {
    if (-not (Test-Path -LiteralPath $Places.Manifest)) { return }
    foreach ($line in Get-Content -LiteralPath $Places.Manifest -Encoding UTF8) {
        if ($line.StartsWith("$Kind ")) { $line.Substring($Kind.Length + 1) }
    }
}

function Write-Manifest($Places, [string[]]$Lines) {
    $new = $Places.Manifest + '.new'
    [IO.File]::WriteAllLines($new, @($Lines | Select-Object -Unique))
    Move-Item -LiteralPath $new -Destination $Places.Manifest -Force
}

# Makes a folder and its parents; returns those that were not there.
function New-Folder([string]$Path) {
    if (Test-Path -LiteralPath $Path -PathType Container) { return }
    $parent = Split-Path -Parent $Path
    if ($parent) { New-Folder $parent }
    try { [void](New-Item -ItemType Directory -Path $Path) }
    catch { Stop-Hearth "$Path cannot be made ($($_.Exception.Message)); choose another place with -Prefix" }
    $Path
}

# ---- installing ----

# The new program beside the old one, and proof that it runs here.
function Assert-Runs([string]$Program, [string]$Expected) {
    $advice = 'Nothing was changed. If a virus scanner took the file away, its history shows it; you can ' +
        'also build Hearth on this machine: install.ps1 -FromSource'
    if (-not (Test-Path -LiteralPath $Program)) { Stop-Hearth "the program vanished after it was copied. $advice" }
    try { $said = (& $Program --version 2>&1 | Out-String).Trim() }
    catch { Stop-Hearth "this Hearth does not run here ($($_.Exception.Message)). $advice" }
    if ($LASTEXITCODE -ne 0) { Stop-Hearth "this Hearth does not run here ($said). $advice" }
    if ($Expected -and $said -ne "hearth $Expected") {
        Stop-Hearth "the archive of version $Expected holds a program that says `"$said`"; nothing was changed"
    }
    $said
}

function Get-Hash([string]$Path) { (Get-FileHash -LiteralPath $Path -Algorithm SHA256).Hash }

# A program that runs cannot be overwritten on Windows, but it can be renamed.
function Set-Program($Places, [string]$Staged) {
    if (-not (Test-Path -LiteralPath $Places.Program)) {
        Move-Item -LiteralPath $Staged -Destination $Places.Program
        return 'new'
    }
    if ((Get-Hash $Staged) -eq (Get-Hash $Places.Program)) {
        Remove-Item -LiteralPath $Staged
        return 'same'
    }
    try {
        if (Test-Path -LiteralPath $Places.Previous) { Remove-Item -LiteralPath $Places.Previous }
    }
    catch {
        Remove-Item -LiteralPath $Staged
        Stop-Hearth "a Hearth that was started before the last upgrade still runs ($($Places.Previous)); stop it first"
    }
    Move-Item -LiteralPath $Places.Program -Destination $Places.Previous
    try { Move-Item -LiteralPath $Staged -Destination $Places.Program }
    catch {
        Move-Item -LiteralPath $Places.Previous -Destination $Places.Program
        throw
    }
    'upgraded'
}

function Install-Tree($Places, [string]$Tree, [string]$Expected) {
    $files = Get-ChildItem -LiteralPath $Tree -Recurse -File |
        ForEach-Object { $_.FullName.Substring($Tree.TrimEnd('\').Length + 1) } | Sort-Object
    $known = @(Read-Manifest $Places 'file')
    foreach ($file in $files) {
        $place = Join-Path $Places.Prefix $file
        if ((Test-Path -LiteralPath $place) -and $known -notcontains $place) {
            Stop-Hearth ("$place is already there and was not put there by this installer. Remove it, or " +
                'choose another place with -Prefix')
        }
    }
    $made = @(New-Folder $Places.Bin) + @(New-Folder $Places.Library)
    $staged = Join-Path $Places.Bin "hearth.new.$PID.exe"
    try {
        Copy-Item -LiteralPath (Join-Path $Tree 'bin\hearth.exe') -Destination $staged
        $said = Assert-Runs $staged $Expected
    }
    catch {
        if (Test-Path -LiteralPath $staged) { Remove-Item -LiteralPath $staged -ErrorAction SilentlyContinue }
        Remove-EmptyFolders $made
        throw
    }
    # Everything that is ours, before the first file is placed: an interrupted installation can be
    # repeated or removed.
    foreach ($file in $files) { $made += @(New-Folder (Split-Path -Parent (Join-Path $Places.Prefix $file))) }
    $old_folders = @(Read-Manifest $Places 'folder')
    $paths = @(Read-Manifest $Places 'path')
    $ours = @($files | ForEach-Object { Join-Path $Places.Prefix $_ }) + $Places.Previous + $Places.Manifest
    $rest = @($old_folders + $made | ForEach-Object { "folder $_" }) + @($paths | ForEach-Object { "path $_" })
    $lists_shortcut = ($known -contains $Places.Shortcut) -or -not (Test-Path -LiteralPath $Places.Shortcut)
    if ($lists_shortcut) { $ours += $Places.Shortcut }
    Write-Manifest $Places (@($known + $ours | ForEach-Object { "file $_" }) + $rest)
    foreach ($file in $files) {
        if ($file -ne 'bin\hearth.exe') {
            Copy-Item -LiteralPath (Join-Path $Tree $file) -Destination (Join-Path $Places.Prefix $file) -Force
        }
    }
    $change = Set-Program $Places $staged
    if ($lists_shortcut) { New-Shortcut $Places }
    foreach ($stale in @($known | Where-Object { $ours -notcontains $_ })) {
        if (Test-Path -LiteralPath $stale) { Remove-Item -LiteralPath $stale }
    }
    Write-Manifest $Places (@($ours | ForEach-Object { "file $_" }) + $rest)
    switch ($change) {
        'new' { Write-Output "$said is installed: $($Places.Program)" }
        'upgraded' { Write-Output "This is now ${said}: $($Places.Program) (before: $($Places.Previous))" }
        'same' { Write-Output "$said was already installed: $($Places.Program)" }
    }
}

function New-Shortcut($Places) {
    try {
        $shortcut = (New-Object -ComObject WScript.Shell).CreateShortcut($Places.Shortcut)
        $shortcut.TargetPath = $Places.Program
        $shortcut.Description = 'Train a large language model together, at home'
        $shortcut.Save()
    }
    catch { Write-Output "No entry in the Start menu ($($_.Exception.Message)); the program works without it." }
}

function Install-Hearth($Places, [string]$Work) {
    $tree = Join-Path $Work 'tree'
    $expected = ''
    if ($FromSource) {
        $source = Find-SourceTree
        $program = @(Build-Hearth $source)[-1]
        New-Tree $program $source $tree
    }
    else {
        Assert-Origin $From
        $targets = @(Get-Targets)
        Copy-FromRelease $From 'SHA256SUMS' $Work
        $sums = Read-Sums (Join-Path $Work 'SHA256SUMS')
        $archive = Select-Archive $sums $targets ($Version -replace '^v', '')
        if (Test-Url $From) { Write-Output "Downloading $($archive.Name)" }
        Copy-FromRelease $From $archive.Name $Work
        $packed = Join-Path $Work $archive.Name
        Assert-Checksum $packed $sums[$archive.Name]
        # Checked: now Windows may know that it came from outside no more.
        Unblock-File -LiteralPath $packed
        Expand-Archive -LiteralPath $packed -DestinationPath $Work
        $tree = Join-Path $Work ($archive.Name -replace '\.zip$', '')
        $expected = $archive.Version
        if (-not (Test-Path -LiteralPath (Join-Path $tree 'bin\hearth.exe'))) {
            Stop-Hearth "$($archive.Name) holds no bin\hearth.exe; nothing was changed"
        }
    }
    Install-Tree $Places $tree $expected
    $running = Get-Running $Places
    if ($running) { Write-Output "Hearth is running (process $running). It goes on with the version it was started with." }
    Add-ToPath $Places
    $completions = Join-Path $Places.Prefix 'share\powershell\hearth.ps1'
    Write-Output "For completions, add this line to your PowerShell profile: . '$($completions -replace "'", "''")'"
    $script = Join-Path $Places.Library 'install.ps1'
    Write-Output "Start it: hearth"
    Write-Output "To remove it: powershell -ExecutionPolicy Bypass -File `"$script`" -Uninstall"
}

# ---- the PATH ----

# The user's PATH as it is written: with its variables, not with their values.
function Get-UserPath {
    $key = [Microsoft.Win32.Registry]::CurrentUser.OpenSubKey('Environment')
    try { [string]$key.GetValue('Path', '', 'DoNotExpandEnvironmentNames') }
    finally { $key.Dispose() }
}

function Set-UserPath([string]$Value) {
    $key = [Microsoft.Win32.Registry]::CurrentUser.OpenSubKey('Environment', $true)
    try { $key.SetValue('Path', $Value, 'ExpandString') }
    finally { $key.Dispose() }
    # Setting any variable this way tells running programs to read the environment anew.
    [Environment]::SetEnvironmentVariable('HEARTH_INSTALLER_WAS_HERE', $null, 'User')
}

function Add-ToPath($Places) {
    if (($env:Path -split ';') -contains $Places.Bin) { return }
    $written = Get-UserPath
    if (($written -split ';') -contains $Places.Bin) { return }
    if ($NoModifyPath) {
        Write-Output "$($Places.Bin) is not on your PATH. Add it in the settings: Edit environment variables for your account"
        return
    }
    Write-Output "$($Places.Bin) is not on your PATH: adding it to your user's PATH. Open a new terminal to use it."
    $lines = Get-Content -LiteralPath $Places.Manifest -Encoding UTF8
    Write-Manifest $Places (@($lines) + "path $($Places.Bin)")
    Set-UserPath ((@($written -split ';' | Where-Object { $_ }) + $Places.Bin) -join ';')
}

# ---- uninstalling ----

# The processes that run our program.
function Get-Running($Places) {
    $found = Get-Process -ErrorAction SilentlyContinue |
        Where-Object { $_.Name -like 'hearth*' -and ($_.Path -eq $Places.Program -or $_.Path -eq $Places.Previous) }
    (@($found) | Where-Object { $_ } | ForEach-Object { $_.Id }) -join ', '
}

function Remove-EmptyFolders([string[]]$Folders) {
    foreach ($folder in @($Folders | Where-Object { $_ } | Sort-Object -Descending)) {
        if ((Test-Path -LiteralPath $folder) -and -not (Get-ChildItem -LiteralPath $folder -Force)) {
            Remove-Item -LiteralPath $folder
        }
    }
}

# The names of the keys that are not in our folders; the list of them is.
function Get-KeyringNames($Places) {
    if (-not (Test-Path -LiteralPath $Places.Program)) { return }
    foreach ($line in & $Places.Program keys list --json) {
        if ($line -match '"store":"keyring"' -and $line -match '"name":"([^"]*)"') { $Matches[1] }
    }
}

function Confirm-Deletion($Places, [string[]]$Folders) {
    Write-Output 'This deletes for ever:' | Out-Host
    $Folders | ForEach-Object { Write-Output "  $_" } | Out-Host
    if ($Purge) {
        Write-Output 'with every key in it. Coins that were paid to a key whose words you do not have are lost.' | Out-Host
        $names = (Get-KeyringNames $Places) -join ' '
        if ($names) {
            Write-Output "These keys are in the Windows credential store and stay there: $names" | Out-Host
            Write-Output 'To delete them as well, stop here and run: hearth keys remove NAME' | Out-Host
        }
    }
    else { Write-Output 'but not the keys in it.' | Out-Host }
    if ($Yes) { return }
    if (-not [Environment]::UserInteractive -or [Console]::IsInputRedirected) {
        Stop-Hearth 'nothing was deleted: without a terminal to ask at, add -Yes'
    }
    if ((Read-Host 'Type "delete" to go on') -cne 'delete') { Stop-Hearth 'nothing was deleted' }
}

function Remove-Data([string[]]$Folders) {
    foreach ($folder in $Folders) {
        $keys = 'keys', 'data\keys' | ForEach-Object { Join-Path $folder $_ } |
            Where-Object { Test-Path -LiteralPath $_ -PathType Container } |
            ForEach-Object { Get-Item -LiteralPath $_ } | Select-Object -First 1
        if ($Purge -or -not $keys) {
            Remove-Item -LiteralPath $folder -Recurse -Force
            continue
        }
        # Everything but the folder of the keys and the ones above it.
        Get-ChildItem -LiteralPath $folder -Recurse -File -Force |
            Where-Object { -not $_.FullName.StartsWith($keys.FullName + '\') } |
            ForEach-Object { Remove-Item -LiteralPath $_.FullName -Force }
        $folders_inside = @(Get-ChildItem -LiteralPath $folder -Recurse -Directory -Force | ForEach-Object { $_.FullName })
        Remove-EmptyFolders $folders_inside
        Write-Output "Kept: $($keys.FullName)"
    }
    Write-Output 'Deleted the settings and data.'
    if ($Purge) { Write-Output "Bittensor's own wallet folders were not touched." }
}

function Uninstall-Hearth($Places) {
    $data = @(Get-DataFolders)
    # A program that runs cannot be deleted on Windows, and it is not ours to stop.
    $running = Get-Running $Places
    if ($running) { Stop-Hearth "Hearth is running (process $running); stop it first. Nothing was changed" }
    if (($KeepKeys -or $Purge) -and $data) {
        Confirm-Deletion $Places $data
        Remove-Data $data
    }
    if (Test-Path -LiteralPath $Places.Manifest) {
        foreach ($folder in @(Read-Manifest $Places 'path')) {
            Set-UserPath (@((Get-UserPath) -split ';' | Where-Object { $_ -and $_ -ne $folder }) -join ';')
        }
        $folders = @(Read-Manifest $Places 'folder')
        foreach ($file in @(Read-Manifest $Places 'file' | Where-Object { $_ -ne $Places.Manifest })) {
            if (Test-Path -LiteralPath $file) { Remove-Item -LiteralPath $file -Force }
        }
        # Last, so that an interrupted removal can be repeated.
        Remove-Item -LiteralPath $Places.Manifest
        Remove-EmptyFolders $folders
        Write-Output "Hearth is removed from $($Places.Prefix)."
    }
    else { Write-Output "There is no Hearth under $($Places.Prefix) that this installer put there (another -Prefix?)." }
    if ($data -and -not $KeepKeys -and -not $Purge) {
        Write-Output 'Your keys and data were kept:'
        $data | ForEach-Object { Write-Output "  $_" }
    }
}

# ---- start and end ----

function Invoke-Installer {
    if ($Help) { return Write-Usage }
    if (($KeepKeys -or $Purge) -and -not $Uninstall) { Stop-Hearth '-KeepKeys and -Purge belong to -Uninstall; try -Help' }
    $places = Get-Places
    if ($Uninstall) { return Uninstall-Hearth $places }
    $work = Join-Path ([IO.Path]::GetTempPath()) ('hearth-install-' + [Guid]::NewGuid().ToString('N'))
    [void](New-Item -ItemType Directory -Path $work)
    try { Install-Hearth $places $work }
    finally { Remove-Item -LiteralPath $work -Recurse -Force -ErrorAction SilentlyContinue }
}

try { Invoke-Installer }
catch [System.OperationCanceledException] {
    [Console]::Error.WriteLine("hearth: $($_.Exception.Message)")
    # Run from a file it is a command with an exit code; pasted into a window it must not close it.
    if ($PSCommandPath) { exit 1 }
}
