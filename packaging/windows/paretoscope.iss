; Inno Setup script: per-user install, Start menu entry, .paretoscope file type.
; Build the bundle first (python packaging\build.py), then: iscc packaging\windows\paretoscope.iss
#define AppVersion "0.1.0"

[Setup]
AppId={{5D3F6C0B-7A55-4E4C-9C51-0D6D3C1E7B42}
AppName=Paretoscope
AppVersion={#AppVersion}
AppPublisher=Paretoscope maintainers
DefaultDirName={autopf}\Paretoscope
DefaultGroupName=Paretoscope
PrivilegesRequired=lowest
PrivilegesRequiredOverridesAllowed=dialog
OutputDir=..\..\dist
OutputBaseFilename=paretoscope-{#AppVersion}-setup
SetupIconFile=..\..\build\icons\paretoscope.ico
UninstallDisplayIcon={app}\paretoscope.exe
LicenseFile=..\..\LICENSE
Compression=lzma2
SolidCompression=yes
ArchitecturesAllowed=x64compatible
ArchitecturesInstallIn64BitMode=x64compatible
ChangesAssociations=yes

[Files]
Source: "..\..\dist\paretoscope\*"; DestDir: "{app}"; Flags: recursesubdirs ignoreversion

[Icons]
Name: "{group}\Paretoscope"; Filename: "{app}\paretoscope.exe"

[Registry]
Root: HKA; Subkey: "Software\Classes\.paretoscope"; ValueType: string; ValueData: "Paretoscope.Project"; Flags: uninsdeletevalue
Root: HKA; Subkey: "Software\Classes\Paretoscope.Project"; ValueType: string; ValueData: "Paretoscope project"; Flags: uninsdeletekey
Root: HKA; Subkey: "Software\Classes\Paretoscope.Project\DefaultIcon"; ValueType: string; ValueData: "{app}\paretoscope.exe,0"
Root: HKA; Subkey: "Software\Classes\Paretoscope.Project\shell\open\command"; ValueType: string; ValueData: """{app}\paretoscope.exe"" ""%1"""

[Run]
Filename: "{app}\paretoscope.exe"; Description: "Start Paretoscope"; Flags: nowait postinstall skipifsilent
